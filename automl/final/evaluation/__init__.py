"""Evaluate a model on labelled images: the holdout of its study, or any other data."""
