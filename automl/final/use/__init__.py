"""What a finished model can do besides predicting: features of images, and where it looks."""
