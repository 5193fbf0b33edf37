"""Smaller spaces: what can no longer hold goes, what always holds is no condition any more."""

from __future__ import annotations

from typing import Any

import optuna
import pytest

from automl.errors import SpaceError
from automl.spaces import SearchSpace, presets
from automl.spaces.narrow import configuration, narrowed, with_portfolio, with_true_sizes, with_weights

_SPEC: dict[str, Any] = {
    "families": {"resnet": ["resnet10t", "resnet18"], "vit": ["vit_tiny_patch16_224"]},
    "parameters": {
        "pretrained": {"type": "categorical", "choices": [False, True]},
        "freeze": {"type": "categorical", "choices": ["none", "head"], "when": {"pretrained": True}},
        "points": {"type": "int", "low": 2, "high": 9, "when": {"freeze": "head"}},
        "lr": [
            {"type": "float", "low": 1e-5, "high": 1e-3, "log": True, "when": {"pretrained": True}},
            {"type": "float", "low": 1e-3, "high": 1e-1, "log": True},
        ],
        "drop_path": {"type": "float", "low": 0.0, "high": 0.3, "when": {"family": "vit"}},
        "steps": {"type": "float", "low": 1.0, "high": 2.0, "step": 0.25},
    },
    "portfolio": [
        {"pretrained": False, "model": "resnet18", "lr": 0.05, "steps": 1.0},
        {"pretrained": True, "model": "resnet18", "freeze": "none", "lr": 1e-4, "steps": 2.0},
    ],
}


def _space() -> SearchSpace:
    return SearchSpace.from_dict(_SPEC)


def test_without_weights_everything_about_them_disappears() -> None:
    scratch = narrowed(_space(), pretrained=False)
    assert list(scratch.parameters) == ["lr", "drop_path", "steps"]
    (lr,) = scratch.parameters["lr"]
    assert (lr.name, lr.when, lr.to_dict()["low"]) == ("lr", (), 1e-3)
    assert scratch.portfolio == ({"family": "resnet", "model": "resnet18", "lr": 0.05, "steps": 1.0},)


def test_configuration_from_scratch_is_one_of_the_whole_space() -> None:
    config = {"model": "resnet18", "lr": 0.05, "steps": 1.0}
    params = _space().to_params(config)
    assert params["pretrained"] is False
    assert narrowed(_space(), pretrained=False).to_params(config).items() <= {**params, "lr": 0.05}.items()


def test_with_weights_every_configuration_says_so_and_has_their_ranges() -> None:
    tuned = narrowed(_space(), pretrained=True)
    assert [entry["lr"] for entry in tuned.portfolio] == [1e-4]
    for seed in range(8):
        trial = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed)).ask()
        config = tuned.suggest(trial)
        assert config["pretrained"] is True and config["lr"] <= 1e-3
        assert ("points" in config) == (config["freeze"] == "head")


def test_left_out_models_take_their_parameters_along() -> None:
    space = narrowed(_space(), pretrained=True, models=["resnet10t"])
    assert space.families == {"resnet": ("resnet10t",)}
    assert "drop_path" not in space.parameters
    assert space.portfolio == ()


def test_models_begin_with_the_recipe_where_it_fits_and_the_middle_elsewhere() -> None:
    space = narrowed(_space(), pretrained=True)
    recipe = {"freeze": "head", "lr": 0.5, "steps": 1.75}
    assert configuration(space, "vit_tiny_patch16_224", recipe) == {
        "family": "vit",
        "model": "vit_tiny_patch16_224",
        "pretrained": True,
        "freeze": "head",
        "points": 6,
        "lr": pytest.approx(1e-4),
        "drop_path": 0.0,
        "steps": 1.75,
    }


def test_other_recipes_are_tried_on_the_best_model() -> None:
    space = narrowed(_space(), pretrained=True)
    models = ["vit_tiny_patch16_224", "resnet10t", "resnet18"]
    begun = with_portfolio(space, models, [{"steps": 1.0}, {"steps": 2.0}])
    tried = [(config["model"], config["steps"]) for config in begun.portfolio]
    assert tried == [(models[0], 1.0), (models[1], 1.0), (models[0], 2.0), (models[2], 1.0)]


@pytest.mark.parametrize("name", presets())
@pytest.mark.parametrize("pretrained", [False, True])
def test_preset_can_be_narrowed_to_any_one_family(name: str, pretrained: bool) -> None:
    space = SearchSpace.load(name)
    whole = narrowed(space, pretrained=pretrained)
    recipes = whole.portfolio
    assert recipes
    for members in whole.families.values():
        small = narrowed(space, pretrained=pretrained, models=members)
        assert list(small.families.values()) == [members]
        begun = with_portfolio(small, members, recipes)
        for config in begun.portfolio:
            assert begun.to_params(config)
            assert bool(config.get("pretrained", False)) == pretrained


def test_space_without_the_parameter_gets_it() -> None:
    spec = {"families": {"resnet": "resnet18"}, "parameters": {"lr": {"type": "float", "low": 0, "high": 1}}}
    space = SearchSpace.from_dict(spec)
    assert narrowed(space, pretrained=False) == narrowed(narrowed(space, pretrained=False), pretrained=False)
    assert configuration(narrowed(space, pretrained=True), "resnet18", {})["pretrained"] is True


def test_space_that_wants_the_opposite_is_refused() -> None:
    fixed = {**_SPEC["parameters"], "pretrained": {"type": "categorical", "choices": [True]}}
    space = SearchSpace.from_dict({**_SPEC, "parameters": fixed, "portfolio": []})
    with pytest.raises(SpaceError, match="has pretrained: true, but this study trains from scratch"):
        narrowed(space, pretrained=False)


def test_space_without_any_model_left_is_refused() -> None:
    with pytest.raises(SpaceError, match="must keep a model, and none of its models is left"):
        narrowed(_space(), pretrained=True, models=["resnet50"])


def test_space_of_both_kinds_fine_tunes_only_what_has_weights() -> None:
    both = with_weights(_space(), ["resnet18"], [{"freeze": "none", "lr": 1e-4, "steps": 2.0}])
    kinds = set()
    for seed in range(60):
        trial = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed)).ask()
        config = both.suggest(trial)
        if both.allows(config):
            kinds.add((config["pretrained"], config["model"]))
    assert {model for tuned, model in kinds if tuned} == {"resnet18"}
    assert {model for tuned, model in kinds if not tuned} == {"resnet10t", "resnet18", "vit_tiny_patch16_224"}


def test_portfolio_of_both_kinds_takes_turns() -> None:
    recipes = [{"freeze": "none", "lr": 1e-4, "steps": 2.0}, {"freeze": "none", "lr": 1e-3, "steps": 1.0}]
    both = with_weights(_space(), ["resnet18"], recipes)
    assert [entry["pretrained"] for entry in both.portfolio] == [False, True, True]
    assert all(both.to_params(entry) for entry in both.portfolio)


def test_models_that_constraints_forbid_from_scratch_leave_the_space() -> None:
    spec = {**_SPEC, "constraints": ["pretrained or family != 'vit'"]}
    space = SearchSpace.from_dict(spec)
    assert set(narrowed(space, pretrained=False).families) == {"resnet"}
    assert set(narrowed(space, pretrained=True).families) == {"resnet", "vit"}


def test_space_that_does_not_mention_weights_gets_both_kinds() -> None:
    spec = {
        "families": {"resnet": ["resnet18", "resnet10t"]},
        "parameters": {"lr": {"type": "float", "low": 0.0, "high": 1.0}},
        "portfolio": [{"model": "resnet10t", "lr": 0.5}],
    }
    both = with_weights(SearchSpace.from_dict(spec), ["resnet18"], [])
    assert [entry["pretrained"] for entry in both.portfolio] == [False, True]
    assert all(both.to_params(entry) for entry in both.portfolio)
    trial = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0)).ask()
    assert set(both.suggest(trial)) == {"family", "model", "pretrained", "lr"}


_SIZES = {"type": "categorical", "choices": [160, 128, 224], "when": {"pretrained": True}}
_SIZED: dict[str, Any] = {
    "families": {"mlp": ["resmlp_12_224"], "eva": ["eva02_tiny_patch14_224"], "resnet": ["resnet18"]},
    "parameters": {"pretrained": {"type": "categorical", "choices": [False, True]}, "size": _SIZES},
    "portfolio": [{"pretrained": True, "model": "resnet18", "size": 160}],
}
_TRUE_SIZES = {"resmlp_12_224": {224}, "eva02_tiny_patch14_224": {154, 126, 224}, "resnet18": {160, 128, 224}}


@pytest.mark.parametrize("both", [True, False])
def test_size_that_is_drawn_is_the_one_that_the_network_gets(both: bool) -> None:
    space, models, recipes = SearchSpace.from_dict(_SIZED), list(_TRUE_SIZES), [{"size": 160}]
    made = (
        with_weights(space, models, recipes)
        if both
        else with_portfolio(narrowed(space, pretrained=True, models=models), models, recipes)
    )
    assert [entry["size"] for entry in made.portfolio if entry["pretrained"]] == [224, 154, 160]
    assert all(made.to_params(entry) for entry in made.portfolio)
    drawn: dict[str, set[Any]] = {model: set() for model in models}
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for _ in range(90):
        config = made.suggest(study.ask())
        if config["pretrained"]:
            drawn[config["model"]].add(config["size"])
        assert both or config["pretrained"]
        assert ("size" in config) == config["pretrained"]
    assert drawn == _TRUE_SIZES


def test_true_sizes_keep_conditions_priors_and_weights() -> None:
    sizes = [
        {**_SIZES, "weights": [1, 2, 3], "when": {"pretrained": True, "model": "eva02_tiny_patch14_224"}},
        {"type": "categorical", "choices": [156, 152, 224], "weights": [1, 2, 4], "when": {"family": "eva"}},
        {"type": "int", "low": 64, "high": 256, "when": {"pretrained": True}},
    ]
    space = SearchSpace.from_dict(
        {**_SIZED, "parameters": {**_SIZED["parameters"], "size": sizes}, "portfolio": []}
    )
    made = with_true_sizes(space, list(_TRUE_SIZES)).parameters["size"]
    kept = {one.name: one for one in made}
    own = [one for one in made if one not in space.parameters["size"]]
    assert [(one.to_dict()["choices"], one.to_dict().get("weights")) for one in own] == [
        ([154, 126, 224], [1.0, 2.0, 3.0]),
        ([154, 224], [3.0, 4.0]),  # two sides that are one for patches of 14 px
        ([224], None),
    ]
    assert len(kept) == len(made) == 6
    assert dict(own[1].when) == {"family": ("eva",), "model": ("eva02_tiny_patch14_224",)}
    assert with_true_sizes(space, ["resnet18"]) == space


def test_number_that_is_no_choice_becomes_the_closest_one() -> None:
    space = narrowed(SearchSpace.from_dict(_SIZED), pretrained=True)
    assert [configuration(space, "resnet18", {"size": size})["size"] for size in (190, 100, None)] == [
        160,
        128,
        160,
    ]
