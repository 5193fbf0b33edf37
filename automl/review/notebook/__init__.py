"""What notebooks show while a study runs."""
