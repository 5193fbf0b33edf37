"""Search spaces: families of timm's models and parameters, from YAML, for Optuna. Imports neither torch nor timm."""

from __future__ import annotations

from automl.spaces.architectures.capability import Capability
from automl.spaces.architectures.families import capabilities
from automl.spaces.parsing.includes import presets
from automl.spaces.space import SearchSpace

__all__ = ["Capability", "SearchSpace", "capabilities", "presets"]
