"""Configuration of a study: one record for the command line, study.yaml and Python."""

from automl.config.loading import load, save
from automl.config.metrics import METRICS, MetricSpec, resolve_metric
from automl.config.study import StudyConfig

__all__ = ["METRICS", "MetricSpec", "StudyConfig", "load", "resolve_metric", "save"]
