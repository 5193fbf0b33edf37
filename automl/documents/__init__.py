"""Read JSON, YAML and other small files that anybody may have written, within limits of size, depth and expansion."""
