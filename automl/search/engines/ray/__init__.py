"""The Ray engine. Ray is imported in this folder only."""
