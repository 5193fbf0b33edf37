"""timm's architectures: families, capabilities, size limits, factories."""
