"""What is known about the models that a study may deliver, and about their scores."""
