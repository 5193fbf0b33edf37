"""From image files to arrays: decode, convert, find near duplicates, in a pool of processes."""
