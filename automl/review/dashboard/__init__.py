"""A study in optuna-dashboard: its trials, notes and artifacts, translated while they are read."""
