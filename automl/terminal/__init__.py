"""Text for terminals and pipes: control characters, and streams that are closed, full or not UTF-8."""
