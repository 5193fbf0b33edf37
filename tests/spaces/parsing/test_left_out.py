"""A space may leave out families and models of a preset that conditions and constraints of the preset name."""

from __future__ import annotations

from typing import Any

import pytest

from automl.errors import SpaceError
from automl.spaces import SearchSpace

NUMBER = {"type": "float", "low": 0.1, "high": 0.9}
BASE: dict[str, Any] = {
    "families": {"a": ["resnet18", "resnet34"], "b": ["vit_tiny_patch16_224"], "c": ["resnet50"]},
    "parameters": {
        "big": {"type": "categorical", "choices": [True, False]},
        "x": {**NUMBER, "when": {"family": ["a", "b"]}},
        "y": [{**NUMBER, "when": {"family": "b"}}, {**NUMBER, "when": {"model": ["resnet18", "resnet50"]}}],
        "z": {**NUMBER, "when": {"family": "b"}},
    },
    "constraints": ['big or family not in ["b", "c"]', 'big or model not in ["resnet34"]'],
}


@pytest.fixture
def base(tmp_path: Any) -> str:
    """A file with the space."""
    SearchSpace.from_dict(BASE).save(tmp_path / "base.yaml")
    return str(tmp_path / "base.yaml")


def _whens(space: SearchSpace) -> dict[str, list[Any]]:
    return {name: [one.when for one in ranges] for name, ranges in space.parameters.items() if name != "big"}


def test_conditions_and_constraints_lose_a_family_that_is_left_out(base: str) -> None:
    space = SearchSpace.from_dict({"include": base, "families": {"b": None}})
    assert _whens(space) == {
        "x": [(("family", ("a",)),)],
        "y": [(("model", ("resnet18", "resnet50")),)],
    }
    assert [one.text for one in space.constraints] == [
        "big or family not in ['c']",
        'big or model not in ["resnet34"]',
    ]
    assert SearchSpace.from_dict(space.to_dict(), name=space.name) == space


def test_constraint_that_always_holds_goes_with_its_model(base: str) -> None:
    space = SearchSpace.from_dict({"include": base, "families": {"a": ["resnet18"], "c": None}})
    assert [one.text for one in space.constraints] == ["big or family not in ['b']"]
    assert _whens(space)["y"][1] == (("model", ("resnet18",)),)


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ('big or family != "b"', None),
        ('not (family == "b") and big', "big"),
        ('big and not family in ["b"]', "big"),
        ('not family in ["b"] and family != "b"', None),
        ('big or (family == "b" and z > 0.5)', "big"),
        ('big == true or family in ["a", "b"]', "big == true or family in ['a']"),
    ],
)
def test_terms_of_a_constraint_are_decided(text: str, left: str | None, tmp_path: Any) -> None:
    SearchSpace.from_dict({**BASE, "constraints": [text]}).save(tmp_path / "base.yaml")
    space = SearchSpace.from_dict({"include": str(tmp_path / "base.yaml"), "families": {"b": None}})
    assert [one.text for one in space.constraints] == ([] if left is None else [left])


def test_models_of_a_pattern_are_not_left_out(base: str) -> None:
    space = SearchSpace.from_dict({"include": base, "families": {"a": ["resnet[13]?"]}})
    assert [one.text for one in space.constraints] == BASE["constraints"]


def test_names_that_the_space_itself_writes_must_exist(base: str) -> None:
    own = {"x": {**NUMBER, "when": {"family": "b"}}, "z": None}
    with pytest.raises(SpaceError, match=r"1 problem: parameters.x.when.family: unknown family 'b'"):
        SearchSpace.from_dict({"include": base, "families": {"b": None}, "parameters": own})
    with pytest.raises(SpaceError, match=r"constraints\[0\]: family: unknown family 'b'"):
        SearchSpace.from_dict({"include": base, "families": {"b": None}, "constraints": ['family != "b"']})


@pytest.mark.parametrize("name", ["cpu", "small", "default", "accuracy", "transformers"])
def test_each_family_of_a_preset_can_be_left_out(name: str) -> None:
    for family in SearchSpace.load(name).patterns:
        space = SearchSpace.from_dict({"include": name, "families": {family: None}})
        assert family not in space.patterns
        assert SearchSpace.from_dict(space.to_dict(), name=space.name) == space
