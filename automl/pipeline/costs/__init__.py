"""What a study costs: seconds, core hours and energy, over all its commands."""
