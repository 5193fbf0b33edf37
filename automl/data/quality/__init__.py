"""Find and report what is wrong or unusual in a data set."""
