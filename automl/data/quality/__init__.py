"""What is wrong or unusual in a data set: the scan, its findings and the report."""
