"""Limits of the model that the user sets: its latency, the size of its file, and its parameters."""
