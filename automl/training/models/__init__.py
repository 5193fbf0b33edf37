"""Models: building them, pretrained weights, fine-tuning, hyperparameters."""
