"""Data sources made of image files: folders, manifests, zip and tar archives."""
