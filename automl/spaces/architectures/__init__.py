"""What timm's architectures can do: families, capabilities, size limits, factories."""
