"""The rule of the incumbent."""

import math

from automl.search.incumbent import Incumbent


def test_better_value_takes_over_whatever_its_epoch() -> None:
    incumbent = Incumbent("max")
    incumbent.report(0, 27, 0.6)
    incumbent.report(1, 9, 0.5)
    assert incumbent.is_best(0)
    incumbent.report(1, 10, 0.7)
    assert incumbent.is_best(1)


def test_equal_values_go_to_more_epochs_then_to_the_earlier_trial() -> None:
    incumbent = Incumbent("max")
    incumbent.report(3, 9, 0.5)
    incumbent.report(5, 27, 0.5)
    assert incumbent.is_best(5)
    incumbent.report(4, 27, 0.5)
    assert incumbent.is_best(4)


def test_trial_that_gets_worse_hands_over() -> None:
    incumbent = Incumbent("min")
    incumbent.report(0, 3, 0.1)
    incumbent.report(1, 3, 0.2)
    incumbent.report(0, 4, 0.9)
    assert incumbent.best is not None and (incumbent.best.trial, incumbent.best.value) == (1, 0.2)


def test_nan_changes_nothing_and_a_failed_trial_drops_out() -> None:
    incumbent = Incumbent("max")
    incumbent.report(0, 3, 0.4)
    incumbent.report(1, 3, 0.5)
    incumbent.report(1, 4, math.nan)
    assert incumbent.is_best(1)
    incumbent.drop(1)
    assert incumbent.is_best(0)
    incumbent.drop(0)
    assert incumbent.best is None
