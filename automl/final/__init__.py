"""From the best configuration to what is handed over: retrain, the holdout, the model folder, predictions."""
