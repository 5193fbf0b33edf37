"""What depends on the machine: micro-batches, data parallel training, memory."""
