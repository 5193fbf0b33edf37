"""`automl weights`: what a search space would load, and how it gets onto this machine."""
