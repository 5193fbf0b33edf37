"""`automl report`: write the report of a study, and open it."""
