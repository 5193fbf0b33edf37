"""What a network costs where it is used: its parameters, the size of its file, and its latency."""
