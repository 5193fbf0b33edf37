"""The whole way: data in, search, retrain, holdout, model out."""

from automl.pipeline.fit import fit, resume

__all__ = ["fit", "resume"]
