"""Damages valid files at random, and gives them to everything in the package that reads files of others."""
