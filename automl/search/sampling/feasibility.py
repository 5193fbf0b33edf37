"""How much of a space its constraints leave."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from automl.errors import SpaceError

if TYPE_CHECKING:
    from automl.records import Config
    from automl.search.space import Space

# A share below this is noted: most draws are thrown away, and narrower ranges could describe the space.
LITTLE = 0.01
# Drawn until so many keep the constraints, or until there were so many draws.
ENOUGH, MOST = 20, 20_000


def constraints_of(space: Space) -> Callable[[Config], bool] | None:
    """Return the function that checks the constraints, None where the space has none."""
    allows: Callable[[Config], bool] | None = getattr(space, "allows", None)
    return allows if getattr(space, "constraints", ()) else None


def share_allowed(space: Any, *, seed: int = 0) -> float:
    """Return the share of evenly drawn configurations that keep the constraints, 1 where there are none.

    Estimated from at most 20,000 draws, fewer if many keep them, within a second.
    """
    allows = constraints_of(space)
    if allows is None:
        return 1.0
    import numpy as np

    from automl.spaces.draw import at_random, walk

    rng = np.random.default_rng(seed)
    kept = drawn = 0
    while kept < ENOUGH and drawn < MOST:
        drawn += 1
        kept += allows(walk(space.suggest, at_random(rng)).config)
    return kept / drawn


def feasibility(space: Any) -> str:
    """Return a note about a space whose constraints hardly ever hold, "" for other spaces.

    Raises SpaceError if none of many draws keeps them: nothing could be suggested.
    """
    share = share_allowed(space)
    if share == 0:
        texts = "; ".join(each.text for each in space.constraints)
        raise SpaceError(
            f"none of {MOST} random configurations keeps all constraints of the search space ({texts}): loosen one"
        )
    if share >= LITTLE:
        return ""
    return (
        f"The constraints of the search space hold for about {share:.1%} of its configurations: narrower ranges in "
        "their place would let the search see more of what is allowed."
    )
