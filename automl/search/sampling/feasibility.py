"""How much of a space its constraints leave."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from automl.errors import SpaceError

if TYPE_CHECKING:
    from automl.records import Config
    from automl.search.space import Space

# A share below this is told: then most draws are in vain, and the space could be written with less left out.
LITTLE = 0.01
# Drawn until so many keep the constraints, or until there were so many draws.
ENOUGH, MOST = 20, 20_000


def constraints_of(space: Space) -> Callable[[Config], bool] | None:
    """What says whether a configuration keeps the constraints; None where the space has none."""
    allows: Callable[[Config], bool] | None = getattr(space, "allows", None)
    return allows if getattr(space, "constraints", ()) else None


def share_allowed(space: Any, *, seed: int = 0) -> float:
    """The share of configurations drawn evenly from the space that keep its constraints, 1 where it has none.

    Estimated from at most 20,000 draws, of which fewer are made where many keep them; a second at most.
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
    """A sentence about a space whose constraints hardly ever hold; "" for other spaces.

    Raises SpaceError where none of many draws keeps them: nothing could be suggested.
    """
    share = share_allowed(space)
    if share == 0:
        texts = "; ".join(each.text for each in space.constraints)
        raise SpaceError(
            f"the constraints of the search space must allow some configurations, but none of {MOST} that were drawn "
            f"keeps all of them ({texts}): loosen one"
        )
    if share >= LITTLE:
        return ""
    return (
        f"The constraints of the search space hold for about {share:.1%} of its configurations: narrower ranges would "
        "say the same, and let the search see more of what is allowed."
    )
