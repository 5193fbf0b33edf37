"""What the best trials of a search get wrong on the validation rows."""
