"""`automl serve`: answer predictions over HTTP."""
