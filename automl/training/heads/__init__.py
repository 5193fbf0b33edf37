"""Linear heads: on small pixels, and on the features of a pretrained network that stays as it is."""

from automl.training.heads.feature_head import FeatureHeads
from automl.training.heads.pixels import fit_linear_head
from automl.training.heads.record import Head

__all__ = ["FeatureHeads", "Head", "fit_linear_head"]
