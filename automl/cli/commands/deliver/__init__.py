"""`automl deliver`."""
