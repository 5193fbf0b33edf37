"""The pipeline of a study: data, search, retrain, holdout, model."""

from automl.pipeline.fit import fit, resume, resumed

__all__ = ["fit", "resume", "resumed"]
