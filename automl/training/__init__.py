"""Train one configuration: the model, its optimizer and schedule, the loop, metrics and checkpoints."""
