"""What is known when a smaller network has learned from the model that would be delivered."""
