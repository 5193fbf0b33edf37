"""A Gaussian process over configurations and epochs, as an Optuna sampler."""

from automl.search.sampling.curve_gp.sampler import CurveGPSampler

__all__ = ["CurveGPSampler"]
