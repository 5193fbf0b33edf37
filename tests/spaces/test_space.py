"""Drawing from a space, and the way back."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import optuna
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from automl.errors import SpaceError
from automl.spaces import SearchSpace, presets

_SPEC: dict[str, Any] = {
    "description": "for\n tests",
    "families": {"resnet": ["resnet10t", "resnet18"], "vit": "vit_tiny_patch16_224"},
    "parameters": {
        "momentum": {"type": "float", "low": 0.8, "high": 0.99, "when": {"opt": "sgd"}},
        "lr": [
            {"type": "float", "low": 1e-4, "high": 1e-2, "log": True, "when": {"opt": "adamw"}},
            {"type": "float", "low": 1e-2, "high": 1.0, "log": True, "when": {"opt": "sgd"}},
        ],
        "opt": {"type": "categorical", "choices": ["adamw", "sgd"]},
        "drop_path": {"type": "float", "low": 0, "high": 0.3, "step": 0.1, "when": {"family": "vit"}},
        "layers": {"type": "int", "low": 1, "high": 64, "log": True, "when": {"momentum_on": True}},
        "momentum_on": {"type": "categorical", "choices": [True, False, None]},
    },
    "portfolio": [{"model": "resnet18", "opt": "sgd", "lr": 0.1, "momentum": 0.9, "momentum_on": None}],
}


def _trial(seed: int = 0) -> optuna.Trial:
    return optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed)).ask()


@pytest.fixture(autouse=True)
def _quiet() -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**31), st.sampled_from(["custom", *presets()]))
def test_any_drawn_configuration_translates_back(seed: int, name: str) -> None:
    space = SearchSpace.from_dict(_SPEC) if name == "custom" else SearchSpace.load(name)
    trial = _trial(seed)
    config = space.suggest(trial)
    assume(space.allows(config))  # samplers refuse the others
    params = space.to_params(config)
    assert params == trial.params
    again = _trial(seed + 1).study
    again.enqueue_trial(params)
    assert space.suggest(again.ask()) == config


def test_inactive_parameters_are_absent() -> None:
    space = SearchSpace.from_dict(_SPEC)
    configs = [space.suggest(_trial(seed)) for seed in range(40)]
    assert {config["opt"] for config in configs} == {"adamw", "sgd"}
    for config in configs:
        assert ("momentum" in config) == (config["opt"] == "sgd")
        assert ("drop_path" in config) == (config["family"] == "vit")
        assert ("layers" in config) == (config["momentum_on"] is True)
        assert (config["lr"] >= 1e-2) == (config["opt"] == "sgd")


def test_family_with_one_member_has_no_model_parameter() -> None:
    space = SearchSpace.from_dict(_SPEC)
    trials = [(_trial(seed)) for seed in range(20)]
    models = {space.suggest(trial)["model"] for trial in trials}
    assert models == {"resnet10t", "resnet18", "vit_tiny_patch16_224"}
    assert {name for trial in trials for name in trial.params if name.startswith("model")} == {"model.resnet"}


def test_names_of_variants_differ_by_condition() -> None:
    space = SearchSpace.from_dict(_SPEC)
    config = {**space.portfolio[0]}
    assert space.to_params(config)["lr.sgd"] == 0.1


def test_portfolio_gets_the_family_of_its_model() -> None:
    assert SearchSpace.from_dict(_SPEC).portfolio[0]["family"] == "resnet"


@pytest.mark.parametrize("name", ["custom", *presets()])
def test_space_survives_its_dict(name: str) -> None:
    space = SearchSpace.from_dict(_SPEC) if name == "custom" else SearchSpace.load(name)
    assert SearchSpace.from_dict(space.to_dict(), name=name) == space


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"lr": 2.0}, "lr: must be a value of 0.01 to 1, log, not 2.0"),
        ({"lr": None}, "not None"),
        ({"drop_path": 0.1}, "drop_path: is searched only if family is vit; remove it"),
        ({"lrate": 1}, "unknown parameter 'lrate'"),
        ({"family": "resnets"}, "family: unknown family 'resnets': did you mean 'resnet'?"),
        ({"family": "vit"}, "model: unknown model 'resnet18'"),
        ({"model": "resnet19"}, "model: unknown model 'resnet19': did you mean 'resnet18'?"),
    ],
)
def test_configuration_outside_of_the_space_is_refused(change: dict[str, Any], problem: str) -> None:
    space = SearchSpace.from_dict(_SPEC)
    with pytest.raises(SpaceError) as caught:
        space.to_params({**space.portfolio[0], **change})
    assert problem in str(caught.value)


def test_configuration_with_a_hole_is_refused() -> None:
    space = SearchSpace.from_dict(_SPEC)
    config = {key: value for key, value in space.portfolio[0].items() if key != "momentum"}
    with pytest.raises(SpaceError, match="momentum: is missing; give a value of 0.8 to 0.99"):
        space.to_params(config)


def test_portfolio_outside_of_the_space_is_refused() -> None:
    with pytest.raises(
        SpaceError, match=r"has 2 problems: portfolio\[0\].lr: .*; portfolio\[0\].momentum_on: is missing"
    ):
        SearchSpace.from_dict({**_SPEC, "portfolio": [{"model": "resnet18", "opt": "adamw", "lr": 5}]})


def test_all_problems_come_with_their_count() -> None:
    broken = {"parameters": {"a": {"type": "x"}, "b": 1, "c": {"type": "int", "low": 1}}}
    with pytest.raises(
        SpaceError, match="the search space 'mine' has 3 problems: parameters.a.type.*; .*; .*c.high"
    ):
        SearchSpace.from_dict(broken, name="mine")


def test_model_that_timm_lacks_is_refused_when_drawing() -> None:
    space = SearchSpace.from_dict({"families": {"r": ["resnet18", "resnet19"]}})
    with pytest.raises(SpaceError, match="unknown model 'resnet19': did you mean 'resnet18'?"):
        space.suggest(_trial())
    with pytest.raises(SpaceError, match="unknown model 'resnet19'"):
        space.check_models()


def test_patterns_are_expanded_when_needed() -> None:
    space = SearchSpace.from_dict({"families": {"c": ["convnext_pico*", "convnext_atto"]}})
    assert space.patterns == {"c": ("convnext_pico*", "convnext_atto")}
    assert space.families == {"c": ("convnext_pico", "convnext_pico_ols", "convnext_atto")}
    config = space.suggest(_trial())
    assert space.to_params(config) == {"family": "c", "model.c": config["model"]}


def test_patterns_keep_within_their_limits() -> None:
    spec = {
        "families": {
            "c": [{"timm": "convnext_[ap]*", "max_params": "5M"}, "convnext_tiny"],
            "g": {"timm": "ghostnet_*", "pretrained": True},
            "r": {"timm": "resnet1[08]*", "max_macs": "1G"},
        }
    }
    space = SearchSpace.from_dict(spec)
    assert space.families["c"][-1] == "convnext_tiny"
    assert set(space.families["c"][:-1]) >= {"convnext_atto"}
    assert not any(model.startswith("convnext_pico") for model in space.families["c"])
    assert space.families["g"] == ("ghostnet_100",)
    assert space.families["r"] == ("resnet10t",)
    assert SearchSpace.from_dict(space.to_dict()) == space
    with pytest.raises(SpaceError, match="'convnext_pico' must be within the limits of the space"):
        space.to_params({"family": "c", "model": "convnext_pico"})


@pytest.mark.parametrize(
    ("families", "problem"),
    [
        (
            {"c": {"timm": "convnext_*", "max_params": "thirty"}},
            "max_params: must be a number above 0 such as",
        ),
        ({"c": {"timm": "convnext_*", "max_param": 3}}, "families.c: unknown key 'max_param': did you mean"),
        ({"c": {"max_params": 3}}, "families.c: must be a model, a pattern or a list of them"),
        ({"c": {"timm": "resnet18", "pretrained": 1}}, "pretrained: must be true or false, not 1"),
    ],
)
def test_limits_that_cannot_be_read_are_named(families: dict[str, Any], problem: str) -> None:
    with pytest.raises(SpaceError, match=problem):
        SearchSpace.from_dict({"families": families})


@pytest.mark.parametrize(
    ("pattern", "problem"), [("zzz_*", "'zzz_\\*' matches none"), ("*", r"matches at most|matches \d{4}")]
)
def test_pattern_that_matches_nothing_or_all_is_refused(pattern: str, problem: str) -> None:
    with pytest.raises(SpaceError, match=problem):
        SearchSpace.from_dict({"families": {"z": pattern}}).check_models()


def test_unknown_space_names_the_closest() -> None:
    with pytest.raises(SpaceError, match="unknown search space 'defualt': did you mean 'default'?"):
        SearchSpace.load("defualt")


def test_space_is_read_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("parameters:\n  lr: {type: float, low: 1e-5, high: 0.1, log: true}\n")
    space = SearchSpace.load(path)
    assert repr(space) == "SearchSpace('mine', 0 families, 1 parameters)"
    assert space.describe() == [("lr", "1e-05 to 0.1, log", "")]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: [", "must be valid YAML: .*line 1"),
        ("", "must be a mapping"),
        ("- 1", "must be a mapping .*, not list"),
    ],
)
def test_file_that_is_no_space_is_refused(tmp_path: Path, text: str, problem: str) -> None:
    (tmp_path / "x.yaml").write_text(text)
    with pytest.raises(SpaceError, match=problem):
        SearchSpace.load(tmp_path / "x.yaml")


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SpaceError, match="must be a readable file, but .*gone.yaml"):
        SearchSpace.load(tmp_path / "gone.yaml")


def test_listing_presets_imports_nothing_heavy() -> None:
    code = (
        "import sys; from automl.spaces import SearchSpace, presets\n"
        "for name in presets(): SearchSpace.load(name).describe()\n"
        "print([m for m in ('torch', 'timm', 'optuna', 'numpy', 'pandas') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
