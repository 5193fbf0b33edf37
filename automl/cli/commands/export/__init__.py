"""`automl export`: write a model in another format, and prove that it answers the same."""
