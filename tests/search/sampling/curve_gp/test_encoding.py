"""Configurations as points."""

import math

import numpy as np
import pytest
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from automl.search.sampling.curve_gp.encoding import Encoding

SPACE: dict[str, BaseDistribution] = {
    "lr": FloatDistribution(1e-4, 1.0, log=True),
    "opt": CategoricalDistribution(["sgd", "adamw", "lamb"]),
    "batch_size": CategoricalDistribution([64, 32, 256, 128]),
    "layers": IntDistribution(1, 5),
}


def test_number_stands_at_its_share_of_the_range() -> None:
    encoding = Encoding({"lr": SPACE["lr"]})
    (row,) = encoding.encode([{"lr": 1e-3}])
    assert row[0] == pytest.approx(0.25)


def test_choices_that_are_numbers_keep_their_order() -> None:
    encoding = Encoding({"batch_size": SPACE["batch_size"]})
    rows = encoding.encode([{"batch_size": size} for size in (32, 64, 128, 256)])
    assert rows[:, 0].tolist() == pytest.approx([0, 1 / 3, 2 / 3, 1])


def test_other_choices_are_all_equally_far_from_each_other() -> None:
    encoding = Encoding({"opt": SPACE["opt"]})
    rows = encoding.encode([{"opt": name} for name in ("sgd", "adamw", "lamb")])
    distances = {round(math.dist(rows[i], rows[j]), 9) for i in range(3) for j in range(i)}
    assert len(distances) == 1 and distances != {0.0}


def test_absent_parameter_differs_from_every_value_of_it() -> None:
    encoding = Encoding({"layers": SPACE["layers"]})
    rows = encoding.encode([{}, *({"layers": n} for n in range(1, 6))])
    assert min(math.dist(rows[0], row) for row in rows[1:]) > 0.4


def test_columns_of_one_parameter_share_a_group() -> None:
    encoding = Encoding(SPACE)
    columns = encoding.encode([{}]).shape[1]
    assert encoding.groups.shape == (columns,)
    assert sorted(set(encoding.groups.tolist())) == [0, 1, 2, 3]


def test_unknown_names_are_passed_over() -> None:
    encoding = Encoding(SPACE)
    assert np.array_equal(encoding.encode([{"depth": 3}]), encoding.encode([{}]))
