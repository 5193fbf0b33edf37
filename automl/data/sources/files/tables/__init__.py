"""Tables of images: how they are read, what their columns mean, and where the files are that they name."""
