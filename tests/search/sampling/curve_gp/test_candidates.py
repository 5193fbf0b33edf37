"""What the sampler chooses from, with priors and within constraints."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from automl.errors import SpaceError
from automl.search.sampling.curve_gp.candidates import Candidates
from automl.spaces import SearchSpace
from automl.spaces.draw import Params, discover

_SPEC: dict[str, Any] = {
    "x": {"type": "float", "low": 1e-5, "high": 1e-1, "log": True},
    "y": {"type": "int", "low": 1, "high": 20},
    "opt": {"type": "categorical", "choices": ["a", "b", "c"]},
}


def _candidates(
    constraints: tuple[str, ...] = (), seed: int = 0, **beliefs: dict[str, Any]
) -> tuple[Candidates, SearchSpace]:
    parameters = {key: {**spec, **beliefs.get(key, {})} for key, spec in _SPEC.items()}
    space = SearchSpace.from_dict({"parameters": parameters, "constraints": list(constraints)})
    rng = np.random.default_rng(seed)
    known = discover(space.suggest, rng)
    allows = space.allows if constraints else None
    return Candidates(space.suggest, rng, known, priors=space.priors, allows=allows), space


def _near(drawn: list[Params]) -> float:
    """The share of draws within a decade around 1e-2."""
    return float(np.mean([10**-2.5 < each["x"] < 10**-1.5 for each in drawn]))


def test_first_draw_is_where_the_priors_are() -> None:
    candidates, _ = _candidates(x={"prior": 1e-2}, y={"prior": 7}, opt={"prior": "b"})
    assert candidates.first(0) == {"x": 1e-2, "y": 7, "opt": "b"}
    assert candidates.first(1) != {"x": 1e-2, "y": 7, "opt": "b"}


def test_two_of_three_early_draws_follow_the_priors() -> None:
    candidates, _ = _candidates(x={"prior": 1e-2})
    drawn = [candidates.first(i) for i in range(1, 181)]
    assert _near([each for i, each in enumerate(drawn, 1) if i % 3 != 2]) == pytest.approx(0.6, abs=0.1)
    assert _near([each for i, each in enumerate(drawn, 1) if i % 3 == 2]) == pytest.approx(0.25, abs=0.1)


def test_belief_fades_with_what_is_observed() -> None:
    candidates, _ = _candidates(x={"prior": 1e-2}, opt={"weights": [8, 1, 1]})
    shares = [
        np.mean([_near(candidates.pool([], observed)[:100]) for _ in range(10)]) for observed in (0, 10, 1000)
    ]
    assert shares[0] > shares[1] + 0.1 > shares[2] + 0.2
    assert shares[2] == pytest.approx(0.25, abs=0.05)


def test_pool_holds_random_even_and_local_candidates() -> None:
    candidates, _ = _candidates()
    parent = candidates.first(0)
    assert len(candidates.pool([], 20)) == 200
    assert len(candidates.pool([parent], 20)) == 300  # a hundred of each kind


def test_no_candidate_breaks_a_constraint() -> None:
    candidates, space = _candidates(
        ("y * x < 0.01", "opt != 'a' or y > 10"), x={"prior": 1e-1}, y={"prior": 20}
    )
    drawn = [candidates.first(i) for i in range(30)]
    for observed in (0, 50):
        drawn += candidates.pool(drawn[:3], observed)
    assert len(drawn) > 300
    assert all(space.allows(each) for each in drawn)


def test_rare_configurations_are_found() -> None:
    candidates, space = _candidates(("y == 7", "x < 0.00002", "opt == 'c'"))
    for i in range(3):
        assert space.allows(candidates.first(i))
    pool = candidates.pool([], 20)
    assert pool and all(space.allows(each) for each in pool)


def test_constraints_that_nothing_keeps_are_an_error() -> None:
    candidates, _ = _candidates(("y < 1",))
    with pytest.raises(SpaceError, match="none of 20000 random configurations keeps the constraints"):
        candidates.first(0)
