"""Figures of a study for notebooks and papers, drawn with matplotlib."""
