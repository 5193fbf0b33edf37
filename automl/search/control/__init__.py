"""The coordinator and what it uses: deadlines, the incumbent, failures, prefetched suggestions, progress."""
