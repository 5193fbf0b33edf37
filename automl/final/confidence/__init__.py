"""Whether a probability can be believed: temperature, answers that are left out, and images of an unknown kind."""
