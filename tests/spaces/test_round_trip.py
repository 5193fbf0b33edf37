"""Any space survives its dict, its YAML and JSON."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from automl.spaces import SearchSpace
from automl.spaces.draw import at_random, walk

_NUMBERS = st.floats(-1e6, 1e6, allow_nan=False).map(lambda x: round(x, 6))
_WEIGHTS = st.floats(0.01, 100).map(lambda x: round(x, 4))
_CHOICES = st.lists(
    st.one_of(
        st.booleans(),
        st.none(),
        st.integers(2, 99),
        st.text(max_size=6),
        st.sampled_from(["on", "1e5", "null", "~"]),
    ),
    min_size=1,
    max_size=4,
    unique_by=lambda x: (type(x) is bool, x),
)


@st.composite
def _ranges(draw: st.DrawFn) -> dict[str, Any]:
    kind = draw(st.sampled_from(["float", "int", "categorical"]))
    if kind == "categorical":
        choices = draw(_CHOICES)
        spec: dict[str, Any] = {"type": kind, "choices": choices}
        if draw(st.booleans()):
            spec["weights"] = [draw(_WEIGHTS) for _ in choices]
        elif draw(st.booleans()):
            spec["prior"] = draw(st.sampled_from(choices))
        return spec
    log = draw(st.booleans())
    low, length = draw(st.integers(1 if log else -50, 60)), draw(st.integers(0, 1000))
    spec = {"type": kind, "low": low, "high": low + length, "log": log}
    if not log and length and draw(st.booleans()):
        spec["step"] = length
    if draw(st.booleans()):
        spec["prior"] = low if "step" in spec else draw(st.integers(low, low + length))
    return spec


@st.composite
def _spaces(draw: st.DrawFn) -> dict[str, Any]:
    keys: list[str] = draw(
        st.lists(st.sampled_from(["a", "b", "lr", "x-y", "Größe"]), min_size=1, max_size=4, unique=True)
    )
    parameters = {key: draw(_ranges()) for key in keys}
    numbers = [
        key for key, spec in parameters.items() if spec["type"] != "categorical" and key.isidentifier()
    ]
    spec: dict[str, Any] = {"description": draw(st.text(max_size=20)), "parameters": parameters}
    limited: bool = draw(st.booleans())
    if numbers and limited:
        one, other = draw(st.sampled_from(numbers)), draw(st.sampled_from(numbers))
        sign, bound = draw(st.sampled_from(["<", "<=", ">", "!="])), draw(_NUMBERS)
        spec["constraints"] = [f"{one} + 2 * {other} {sign} {bound} or not {one} in [1, 2]"]
    if draw(st.booleans()):
        weight = draw(_WEIGHTS)
        spec["families"] = {
            "resnet": {"models": ["resnet18", "resnet10t"], "weight": weight},
            "vit": ["vit_*"],
        }
    return spec


@settings(max_examples=150, deadline=None)
@given(_spaces())
def test_any_space_survives_dict_yaml_and_json(spec: dict[str, Any]) -> None:
    space = SearchSpace.from_dict(spec)
    assert SearchSpace.from_dict(space.to_dict()) == space
    assert SearchSpace.from_dict(json.loads(json.dumps(space.to_dict()))) == space
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "custom.yaml"
        space.save(path)
        assert SearchSpace.load(path) == space
        (Path(folder) / "other.yaml").write_text("include: custom.yaml\n", encoding="utf-8")
        assert SearchSpace.load(Path(folder) / "other.yaml").to_dict() == space.to_dict()


@settings(max_examples=60, deadline=None)
@given(_spaces(), st.integers(0, 2**31))
def test_prior_of_any_parameter_is_a_value_that_can_be_drawn(spec: dict[str, Any], seed: int) -> None:
    space = SearchSpace.from_dict({**spec, "families": None})
    way = walk(space.suggest, at_random(np.random.default_rng(seed), space.priors))
    for name, distribution in way.distributions.items():
        assert distribution._contains(distribution.to_internal_repr(way.params[name]))
        value = space.priors[name].value if name in space.priors else None
        assert value is None or distribution._contains(distribution.to_internal_repr(value))
    assert way.config.keys() == spec["parameters"].keys()
