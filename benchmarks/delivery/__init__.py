"""What people do with a model afterwards: how fast and how true it is."""
