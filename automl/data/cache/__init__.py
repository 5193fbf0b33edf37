"""Decoded images on disk: one memory-mapped array a data set, its checksums, and eviction."""
