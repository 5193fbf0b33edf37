"""What the search asks of a search space and of an objective's reports."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from automl.records import Config

# Keys of a round's report that speak to the search; all others are metrics.
CONTROL_KEYS = frozenset({"seconds", "done", "reason", "interrupted", "save"})


class Space(Protocol):
    """What the search needs from a search space.

    A space may also have `priors`, what is believed of parameters by Optuna's names, and `constraints` with
    `allows(config)`, which says whether a configuration keeps them. SearchSpace has both.
    """

    @property
    def portfolio(self) -> Sequence[Config]:
        """Configurations to try first."""

    def suggest(self, trial: Any) -> Config:
        """A configuration drawn through `trial.suggest_*` of an Optuna trial."""

    def to_params(self, config: Config) -> dict[str, Any]:
        """The names and values under which Optuna knows the configuration. Raises SpaceError for one outside."""

    def to_dict(self) -> dict[str, Any]:
        """The space as plain data; two spaces are the same if these are equal."""
