"""The retrain: how long it may take, what it is compared with, and which model is delivered."""
