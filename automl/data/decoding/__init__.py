"""Turn image files into arrays: read headers, decode in a pool of processes, find near duplicates."""
