"""What a search writes down and reads back: trials, the event log, checkpoints."""
