"""What users look at: the view of a running study, tables, results as text."""
