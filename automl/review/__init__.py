"""What people look at: the view of a running study, tables, results in words."""
