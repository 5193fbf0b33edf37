"""Expressions over parameters: what they mean, and that nothing else is ever run."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from automl.errors import SpaceError
from automl.spaces import SearchSpace
from automl.spaces.constraints import Constraint
from automl.spaces.narrow import narrowed, with_portfolio

_SPEC: dict[str, Any] = {
    "families": {"resnet": ["resnet10t", "resnet18"], "vit": "vit_tiny_patch16_224"},
    "parameters": {
        "pretrained": {"type": "categorical", "choices": [False, True]},
        "batch_size": {"type": "categorical", "choices": [32, 64, 128]},
        "upscale": {"type": "categorical", "choices": [1.0, 2.0, 4.0]},
        "width": {"type": "float", "low": 0.25, "high": 1.0, "when": {"family": "resnet"}},
        "layers": {"type": "int", "low": 0, "high": 8},
        "freeze": {"type": "categorical", "choices": ["none", "head", None], "when": {"pretrained": True}},
    },
}
_CONFIG = {
    "family": "resnet",
    "model": "resnet18",
    "pretrained": False,
    "batch_size": 64,
    "upscale": 4.0,
    "width": 0.5,
    "layers": 2,
}


def _space(*constraints: Any, **changes: Any) -> SearchSpace:
    return SearchSpace.from_dict({**_SPEC, "constraints": list(constraints), **changes})


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("batch_size * upscale <= 256", True),
        ("batch_size * upscale < 256", False),
        ('model == "resnet18" or width <= 0.25', True),
        ("model != 'resnet18' or width > 0.75", False),
        ("model in ['resnet10t', 'vit_tiny_patch16_224']", False),
        ("batch_size not in (32, 128) and not pretrained", True),
        ("1 < layers <= 2 < batch_size", True),
        ("2 < layers <= 2", False),
        ("-layers + 7 // 2 - 7 % 4 == -2", True),
        ("(layers - 1) / 2 == 0.5", True),
        ("pretrained == false", True),
        ("pretrained == True", False),
        ("layers / (layers - 2) > 0", False),  # cannot be computed
        ('freeze == "head"', True),  # there is none
        ('freeze == "head" and layers > 100', True),
    ],
)
def test_constraint_means_what_it_says(text: str, kept: bool) -> None:
    space = _space(text)
    assert space.allows(_CONFIG) is kept
    assert pickle.loads(pickle.dumps(space)).allows(_CONFIG) is kept


def test_truth_is_no_number() -> None:
    space = SearchSpace.from_dict(
        {
            "parameters": {"x": {"type": "categorical", "choices": [1, True, 0]}},
            "constraints": ["x == 1"],
        }
    )
    assert [space.allows({"x": x}) for x in (1, True, 0)] == [True, False, False]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("batchsize <= 64", "unknown parameter 'batchsize': did you mean 'batch_size'?"),
        ("batch_size <=", "must be an expression, but 'batch_size <=' is not (invalid syntax)"),
        ("batch_size", "must be true or false, but 'batch_size' is a number"),
        ("batch_size and pretrained", "needs true or false instead of `batch_size`, which is a number"),
        ("model < 3", "needs a number instead of `model`, which is a text"),
        ("pretrained + 1 < 2", "needs a number instead of `pretrained`, which is true or false"),
        (
            "batch_size == 'large'",
            "compares `batch_size`, which is a number, with `'large'`, which is a text",
        ),
        ("batch_size == 48", "batch_size: must be a value of batch_size (32, 64, 128), not 48"),
        ("model == 'resnet19'", "model: unknown model 'resnet19': did you mean 'resnet18'?"),
        ("family in ['resnets']", "family: unknown family 'resnets': did you mean 'resnet'?"),
        ("layers in 8", "needs a list of values after `in`"),
        ("layers in []", "needs a list of values after `in`"),
        ("pretrained is True", "but not `is`: write == or !="),
        ("layers ** 9 < 1", "may use parameters, numbers, quoted text, arithmetic"),
        ("1 < 2", "must contain a parameter"),
        ("layers < 1j", "but not `1j`"),
        ("f'{layers}' == 'a'", "may use parameters"),
        (3, "must be an expression such as"),
        ("layers < 1 or " * 60 + "layers < 1", "must have at most 500 characters"),
        ("(" * 240 + "layers" + ")" * 240 + " < 1", "must be an expression"),
    ],
)
def test_wrong_constraint_is_named_by_its_key(text: Any, problem: str) -> None:
    with pytest.raises(SpaceError, match=r"has 1 problem: constraints\[1\]: ") as caught:
        _space("layers < 8", text)
    assert problem in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "__import__('pathlib').Path('{there}').write_text('x') == 1",
        "open('{there}', 'w') == 1",
        "(lambda: 1)() == layers",
        "[x for x in (1, 2)] == 1",
        "model.__class__ == 'a'",
        "model[0] == 'r'",
        "(y := 3) == layers",
        "layers if pretrained else 1",
        "max(layers, 1) == 1",
    ],
)
def test_what_is_no_constraint_is_refused_and_never_run(text: str, tmp_path: Path) -> None:
    there = tmp_path / "made"
    with pytest.raises(SpaceError, match=r"constraints\[0\]: may use parameters"):
        _space(text.replace("{there}", str(there)))
    assert not there.exists()


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(
        SpaceError, match=r"has 4 problems: .*constraints\[0\].*constraints\[0\].*constraints\[2\]"
    ) as caught:
        _space("lauers < 1 and batch_sise < 1", "layers < 3", "layers", max_params="many")
    assert "max_params: must be" in str(caught.value)


def test_constraints_must_be_a_list_or_one_text() -> None:
    assert SearchSpace.from_dict({**_SPEC, "constraints": "layers < 8"}).constraints == (
        Constraint("layers < 8"),
    )
    with pytest.raises(SpaceError, match="constraints: must be a list of expressions"):
        SearchSpace.from_dict({**_SPEC, "constraints": {"layers": 8}})


def test_constraint_on_a_broken_parameter_is_no_second_problem() -> None:
    spec = {"parameters": {"x": {"type": "categorical"}}, "constraints": ["x < 3"]}
    with pytest.raises(SpaceError, match="has 1 problem: parameters.x.choices"):
        SearchSpace.from_dict(spec)


def test_portfolio_entry_that_breaks_a_constraint_is_refused_by_name() -> None:
    with pytest.raises(SpaceError, match=r"portfolio\[1\]: must satisfy the constraint 'upscale < layers'"):
        _space("upscale < layers", portfolio=[{**_CONFIG, "layers": 5}, _CONFIG])
    with pytest.raises(SpaceError, match="does not: must satisfy the constraint 'upscale < layers'"):
        _space("upscale < layers").to_params(_CONFIG)


def test_narrowed_space_settles_what_is_decided() -> None:
    space = _space(
        "pretrained or batch_size <= 64",
        "freeze != 'head' or layers > 1",
        "model != 'resnet18' or layers < 3",
    )
    scratch = narrowed(space, pretrained=False, models=["resnet10t"])
    assert [each.names for each in scratch.constraints] == [{"batch_size"}, {"model", "layers"}]
    config = {
        "family": "resnet",
        "model": "resnet10t",
        "batch_size": 128,
        "upscale": 1.0,
        "width": 0.5,
        "layers": 5,
    }
    assert not scratch.allows(config)
    assert scratch.allows({**config, "batch_size": 32})
    tuned = narrowed(space, pretrained=True)
    assert tuned.constraints == space.constraints
    with pytest.raises(SpaceError, match="its constraint 'pretrained' allows none"):
        narrowed(_space("pretrained"), pretrained=False)


def test_space_is_not_begun_with_what_breaks_a_constraint() -> None:
    space = narrowed(_space("model != 'resnet18' or layers < 3"), pretrained=True)
    begun = with_portfolio(space, ["resnet18", "resnet10t"], [{"layers": 7}])
    assert [config["model"] for config in begun.portfolio] == ["resnet10t"]


@given(
    st.integers(-9, 9), st.integers(-9, 9), st.sampled_from(["<", "<=", ">", ">=", "==", "!="]), st.booleans()
)
def test_settled_constraint_is_the_whole_one_at_that_value(a: int, b: int, sign: str, truth: bool) -> None:
    constraint = Constraint(f"a {sign} b and c or not (a - 1 < b)")
    whole = constraint.holds({"a": a, "b": b, "c": truth})
    left = constraint.substitute({"c": truth, "a": a})
    assert isinstance(left, Constraint) and left.names == {"b"}
    assert left.holds({"b": b}) is whole
    assert constraint.substitute({"a": a, "b": b, "c": truth}) is whole
