"""Search spaces: families of timm's models and parameters, from YAML, for Optuna. Needs neither torch nor
timm.
"""

from __future__ import annotations

from automl.spaces.capability import Capability
from automl.spaces.families import capabilities
from automl.spaces.files import presets
from automl.spaces.space import SearchSpace

__all__ = ["Capability", "SearchSpace", "capabilities", "presets"]
