"""Annotations of objects in XML, whose kinds are the labels of an image."""
