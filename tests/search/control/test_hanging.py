"""When silence counts as hanging."""

from __future__ import annotations

from automl.records import TrialState
from automl.search.control.trial import LiveTrial, hanging
from automl.search.reasons import Code, Reason


def hung(seconds: float) -> Reason:
    return Reason(Code.HUNG, {"seconds": seconds})


def test_trial_hangs_after_twenty_of_the_longest_rounds_and_a_starting_one_after_twice_that() -> None:
    trials = [
        LiveTrial(0, {}, placed=True, heard=0.0, seconds=5.0),
        LiveTrial(1, {}, placed=False, heard=0.0),
        LiveTrial(2, {}, TrialState.PAUSED, placed=True, heard=0.0, seconds=1.0),
    ]
    assert hanging(trials, now=99.0, patience=60.0) == {}
    assert hanging(trials, now=101.0, patience=60.0) == {0: hung(101.0)}
    assert hanging(trials, now=201.0, patience=60.0) == {0: hung(201.0), 1: hung(201.0)}


def test_trials_have_at_least_the_patience_and_half_an_hour_while_no_round_is_known() -> None:
    quick = [LiveTrial(0, {}, placed=True, heard=10.0, seconds=0.1)]
    assert hanging(quick, now=69.0, patience=60.0) == {}
    assert hanging(quick, now=71.0, patience=60.0) == {0: hung(61.0)}
    unknown = [LiveTrial(0, {}, placed=True, heard=0.0)]
    assert hanging(unknown, now=1799.0, patience=60.0) == {}
    assert hanging(unknown, now=1801.0, patience=60.0) == {0: hung(1801.0)}
