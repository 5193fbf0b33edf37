"""Several networks as one: their probabilities are averaged."""
