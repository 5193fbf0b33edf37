"""The policies by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from automl.search.policy.adaptive_asha import AdaptiveAsha
from automl.search.policy.asha import asha, hyperband
from automl.search.policy.base import Policy, PolicyContext
from automl.search.policy.stopping import FullLength, MedianStop, StopAsha


@dataclass(frozen=True)
class PolicyRow:
    """A policy: its name, how to make it, and a one-line description."""

    name: str
    make: Callable[[PolicyContext], Policy]
    description: str


POLICIES = {
    row.name: row
    for row in (
        PolicyRow("auto", AdaptiveAsha, "the recommended policy: asha-watched"),
        PolicyRow(
            "asha",
            asha,
            "pauses trials at rungs and promotes the best third (asynchronous successive halving)",
        ),
        PolicyRow(
            "asha-watched",
            AdaptiveAsha,
            "asha with a first rung that moves to where early values rank trials well",
        ),
        PolicyRow("stop-asha", StopAsha, "stops trials for good that are not in the best third at a rung"),
        PolicyRow("median", MedianStop, "stops trials that are worse than the median of the complete ones"),
        PolicyRow("hyperband", hyperband, "asha in several brackets, with earlier and later first rungs"),
        PolicyRow("none", FullLength, "runs every trial to the full length"),
    )
}


def make_policy(name: str, context: PolicyContext) -> Policy:
    """Return a fresh policy, by a name in POLICIES."""
    return POLICIES[name].make(context)
