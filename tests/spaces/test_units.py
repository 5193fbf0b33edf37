"""Values as shares of their range."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from automl.spaces.units import from_unit, to_unit


@pytest.mark.parametrize(
    "distribution",
    [
        FloatDistribution(0.5, 2.0),
        FloatDistribution(1e-5, 1e-1, log=True),
        FloatDistribution(0.0, 1.0, step=0.25),
        IntDistribution(1, 5),
        IntDistribution(16, 512, log=True),
        IntDistribution(2, 10, step=4),
        FloatDistribution(3.0, 3.0),
        CategoricalDistribution(["a", None, True, 2]),
    ],
    ids=str,
)
@given(share=st.floats(0.0, 1.0))
def test_value_at_any_share_lies_in_the_distribution(distribution: BaseDistribution, share: float) -> None:
    value = from_unit(distribution, share)
    assert distribution._contains(distribution.to_internal_repr(value))


@pytest.mark.parametrize(
    ("distribution", "values"),
    [
        (IntDistribution(1, 5), [1, 2, 3, 4, 5]),
        (IntDistribution(2, 10, step=4), [2, 6, 10]),
        (FloatDistribution(0.0, 1.0, step=0.5), [0.0, 0.5, 1.0]),
        (CategoricalDistribution(["a", "b"]), ["a", "b"]),
    ],
    ids=str,
)
def test_steps_and_choices_get_equal_parts(distribution: BaseDistribution, values: list[Any]) -> None:
    drawn = [from_unit(distribution, (i + 0.5) / 60) for i in range(60)]
    assert {value: drawn.count(value) for value in values} == dict.fromkeys(values, 60 // len(values))


@pytest.mark.parametrize("log", [False, True])
def test_share_of_a_float_leads_back_to_it(log: bool) -> None:
    distribution = FloatDistribution(1e-3, 10.0, log=log)
    assert to_unit(distribution, from_unit(distribution, 0.3)) == pytest.approx(0.3)


def test_share_of_a_choice_is_refused() -> None:
    with pytest.raises(TypeError, match="must be a range of numbers"):
        to_unit(CategoricalDistribution(["a"]), "a")
