"""The models of a study that no other beats in metric, latency and size, and those whose weights are kept."""
