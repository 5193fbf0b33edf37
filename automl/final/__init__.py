"""From the best configuration to the delivered model: retrain, holdout, model folder, predictions."""
