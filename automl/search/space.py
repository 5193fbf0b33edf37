"""What the search expects of a search space, and of an objective's reports."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from automl.records import Config

# Keys of a report with a meaning for the search. All others are metrics.
CONTROL_KEYS = frozenset({"seconds", "done", "reason", "interrupted", "save"})


class Space(Protocol):
    """What the search needs from a search space.

    A space may also have `priors` by Optuna's names of parameters, and `constraints` with `allows(config)`, which
    returns whether a configuration keeps them. SearchSpace has both.
    """

    @property
    def portfolio(self) -> Sequence[Config]:
        """Configurations to try first."""

    def suggest(self, trial: Any) -> Config:
        """Draw a configuration through `trial.suggest_*` of an Optuna trial."""

    def to_params(self, config: Config) -> dict[str, Any]:
        """Return the configuration by Optuna's names. Raises SpaceError for one outside of the space."""

    def to_dict(self) -> dict[str, Any]:
        """Return the space as plain data. Two spaces are the same if these are equal."""
