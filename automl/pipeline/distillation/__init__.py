"""Distil the model that would be delivered into the smallest network that keeps its metric."""
