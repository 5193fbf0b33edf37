"""Splits in files beside the images: lists, JSON and tables of parts."""
