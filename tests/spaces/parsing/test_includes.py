"""What files take over from each other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from automl.errors import SpaceError
from automl.spaces import SearchSpace

_F = {"type": "float", "low": 0, "high": 1}


def _write(folder: Path, **files: dict[str, Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, spec in files.items():
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(spec, sort_keys=False), encoding="utf-8")


def test_own_keys_win_one_by_one(tmp_path: Path) -> None:
    base = {
        "description": "base",
        "families": {"resnet": ["resnet18"], "vit": ["vit_tiny_patch16_224"], "regnet": ["regnetx_002"]},
        "parameters": {
            "a": {**_F, "step": 0.5},
            "b": _F,
            "c": {"type": "categorical", "choices": [1, 2]},
            "d": {**_F, "when": {"c": 1}},
        },
        "constraints": ["a <= b"],
        "max_params": "30M",
    }
    own = {
        "include": "base.yaml",
        "families": {"regnet": None, "vit": {"weight": 2}, "mine": ["resnet10t"]},
        "parameters": {
            "a": {"high": 2, "prior": 1.5},
            "b": None,
            "c": {"type": "int", "low": 1, "high": 3},
            "d": {"when": None},
            "e": _F,
        },
        "max_params": None,
    }
    _write(tmp_path, base=base, own=own)
    space = SearchSpace.load(tmp_path / "own.yaml")
    assert space.to_dict() == {
        "description": "base",
        "families": {
            "resnet": ["resnet18"],
            "vit": {"models": ["vit_tiny_patch16_224"], "weight": 2.0},
            "mine": ["resnet10t"],
        },
        "parameters": {
            "a": {"type": "float", "low": 0.0, "high": 2.0, "step": 0.5, "prior": 1.5},
            "c": {"type": "int", "low": 1, "high": 3},
            "d": {"type": "float", "low": 0.0, "high": 1.0},
            "e": {"type": "float", "low": 0.0, "high": 1.0},
        },
    }


def test_included_files_are_found_beside_the_one_that_names_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _write(tmp_path / "deep", part={"parameters": {"a": _F}}, middle={"include": "part.yaml"})
    _write(
        tmp_path,
        own={"include": ["deep/middle.yaml", "second.yaml"]},
        second={"parameters": {"a": {"high": 3}}},
    )
    assert SearchSpace.load(tmp_path / "own.yaml").describe() == [("a", "0 to 3", "")]
    monkeypatch.chdir(tmp_path)
    assert SearchSpace.from_dict({"include": "own.yaml"}).describe() == [("a", "0 to 3", "")]


def test_preset_is_included_with_a_portfolio_that_fits() -> None:
    space = SearchSpace.from_dict(
        {
            "include": "smoke",
            "parameters": {
                "mixup": None,
                "cutmix": _F,
                "label_smoothing": {"prior": 0.05},
                "batch_size": {"choices": [64]},
            },
            "constraints": ["augment < 0.3"],
        }
    )
    smoke = SearchSpace.load("smoke")
    assert list(space.parameters) == [*(key for key in smoke.parameters if key != "mixup"), "cutmix"]
    kept = [entry for entry in smoke.portfolio if entry["batch_size"] == 64 and entry["augment"] < 0.3]
    assert kept
    assert list(space.portfolio) == [
        {**{key: value for key, value in entry.items() if key != "mixup"}, "cutmix": 0.0} for entry in kept
    ]


def test_constraint_on_a_parameter_that_was_taken_out_goes_with_it(tmp_path: Path) -> None:
    base = {"parameters": {"a": _F, "b": _F}, "constraints": ["a < b", "a < 0.5"]}
    _write(tmp_path, base=base, own={"include": "base.yaml", "parameters": {"b": None}})
    assert [each.text for each in SearchSpace.load(tmp_path / "own.yaml").constraints] == ["a < 0.5"]
    own = {"include": "base.yaml", "parameters": {"b": None}, "constraints": ["b < 1"]}
    _write(tmp_path, own=own)
    with pytest.raises(SpaceError, match=r"constraints\[0\]: unknown parameter 'b'"):
        SearchSpace.load(tmp_path / "own.yaml")


@pytest.mark.parametrize(
    ("own", "problem"),
    [
        (
            {"include": "own.yaml"},
            "include: files must not include each other in a circle, but own.yaml -> own.yaml do",
        ),
        ({"include": "back.yaml"}, "in a circle, but own.yaml -> back.yaml -> own.yaml do"),
        ({"include": "gone.yaml"}, "include: the search space must be a readable file, but .*gone.yaml"),
        ({"include": "defualt"}, "include: unknown search space 'defualt': did you mean 'default'?"),
        ({"include": "../search_spaces/default"}, "include: unknown search space"),
        ({"include": "list.yaml"}, "must hold a mapping, not list"),
        ({"include": []}, r"include: must be a preset, a YAML file or a list of them, not \[\]"),
        ({"include": [1]}, "include: must be a preset"),
        (
            {"include": "base.yaml", "parameters": {"x": None}},
            "parameters.x: null removes an included entry",
        ),
        ({"include": "base.yaml", "families": {"x": None}}, "families.x: null removes an included entry"),
    ],
)
def test_include_that_cannot_be_is_named(own: dict[str, Any], problem: str, tmp_path: Path) -> None:
    _write(tmp_path, own=own, back={"include": "own.yaml"}, base={"parameters": {"a": _F}})
    (tmp_path / "list.yaml").write_text("- 1", encoding="utf-8")
    with pytest.raises(SpaceError, match=problem):
        SearchSpace.load(tmp_path / "own.yaml")


def test_all_includes_that_fail_are_told_at_once() -> None:
    with pytest.raises(
        SpaceError, match="has 2 problems: include: .*gone.yaml.*; include: unknown search space 'x'"
    ):
        SearchSpace.from_dict({"include": ["gone.yaml", "x"]})


def test_file_may_be_included_twice_without_a_circle(tmp_path: Path) -> None:
    _write(
        tmp_path,
        part={"parameters": {"a": _F}},
        one={"include": "part.yaml"},
        two={"include": "part.yaml"},
        own={"include": ["one.yaml", "two.yaml"]},
    )
    assert list(SearchSpace.load(tmp_path / "own.yaml").parameters) == ["a"]
