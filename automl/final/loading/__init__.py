"""Load a model folder, which may come from a stranger: nothing in it is believed before it is compared."""
