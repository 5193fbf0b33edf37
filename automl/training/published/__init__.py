"""Published weights: what their licences allow, which there are for a space, and how they reach this machine."""
