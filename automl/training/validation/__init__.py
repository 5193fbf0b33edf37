"""The scores of trials on the validation rows, kept for whoever looks at what they get wrong."""
