"""Metrics of many resamples of the same rows."""
