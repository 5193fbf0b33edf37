"""The parts of a training step: losses, optimizers, schedules, averaged weights, metrics."""
