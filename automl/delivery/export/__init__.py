"""Export a model, and prove on held-out images that the exported file answers as the model does."""
