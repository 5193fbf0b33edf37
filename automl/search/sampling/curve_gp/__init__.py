"""A Gaussian process over configurations and rounds, as an Optuna sampler."""

from automl.search.sampling.curve_gp.sampler import CurveGPSampler

__all__ = ["CurveGPSampler"]
