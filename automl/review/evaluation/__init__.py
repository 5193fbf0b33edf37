"""Show an evaluation: as text in a terminal, and as a page with the errors as images."""
