"""The rule of the incumbent."""

import math

from automl.records import Report, TrialState
from automl.search.control.incumbent import Incumbent
from automl.search.policy.significance import judged_again
from automl.search.storage.reader import StoredTrial
from tests.search.toy import JUDGED, constant_noise


def test_better_value_takes_over_whatever_its_round() -> None:
    incumbent = Incumbent("max")
    incumbent.report(Report(0, 27, 0.6, 1.0))
    incumbent.report(Report(1, 9, 0.5, 1.0))
    assert incumbent.is_best(0)
    incumbent.report(Report(1, 10, 0.7, 1.0))
    assert incumbent.is_best(1)


def test_equal_values_go_to_more_rounds_then_to_the_earlier_trial() -> None:
    incumbent = Incumbent("max")
    incumbent.report(Report(3, 9, 0.5, 1.0))
    incumbent.report(Report(5, 27, 0.5, 1.0))
    assert incumbent.is_best(5)
    incumbent.report(Report(4, 27, 0.5, 1.0))
    assert incumbent.is_best(4)


def test_trial_that_gets_worse_hands_over() -> None:
    incumbent = Incumbent("min")
    incumbent.report(Report(0, 3, 0.1, 1.0))
    incumbent.report(Report(1, 3, 0.2, 1.0))
    incumbent.report(Report(0, 4, 0.9, 1.0))
    assert incumbent.best is not None and (incumbent.best.trial, incumbent.best.value) == (1, 0.2)


def test_nan_changes_nothing_and_a_failed_trial_drops_out() -> None:
    incumbent = Incumbent("max")
    incumbent.report(Report(0, 3, 0.4, 1.0))
    incumbent.report(Report(1, 3, 0.5, 1.0))
    incumbent.report(Report(1, 4, math.nan, 1.0))
    assert incumbent.is_best(1)
    incumbent.drop(1)
    assert incumbent.is_best(0)
    incumbent.drop(0)
    assert incumbent.best is None


def _leading(noise: float, *values: tuple[int, int, float]) -> Incumbent:
    """Trials 0, 1 and 2 of the portfolio and trial 3 of the sampler, with some reports (trial, round, value)."""
    incumbent = Incumbent("max", constant_noise(noise))
    for trial in range(4):
        incumbent.began(trial, trusted=trial < 3)
    for report in values:
        incumbent.report(Report(*report, 1.0))
    return incumbent


def test_a_lead_within_noise_gives_way_to_what_comes_first_in_the_portfolio() -> None:
    reports = ((0, 9, 0.590), (1, 9, 0.595), (2, 9, 0.600))
    assert _leading(0.02, *reports).is_best(0)
    assert _leading(0.007, *reports).is_best(1)
    assert _leading(0.001, *reports).is_best(2)
    leading = _leading(0.02, *reports).leader
    assert leading is not None and leading.trial == 2


def test_trials_are_compared_where_both_were_last_seen_and_not_long_ago() -> None:
    paused = ((0, 9, 0.500), (1, 9, 0.505))
    assert _leading(0.02, *paused, (1, 27, 0.700)).is_best(0)
    assert _leading(0.001, *paused, (1, 27, 0.700)).is_best(1)
    assert _leading(0.02, *paused, (1, 27, 0.700), (1, 28, 0.700)).is_best(1)
    assert _leading(0.02, (0, 27, 0.690), (1, 9, 0.700)).is_best(1)  # nowhere compared


def test_what_the_sampler_found_need_not_give_way() -> None:
    incumbent = _leading(0.02, (0, 9, 0.595), (3, 9, 0.600))
    assert incumbent.is_best(3)
    incumbent.drop(3)
    assert incumbent.is_best(0)


def test_reference_is_the_first_of_the_portfolio_that_has_not_failed() -> None:
    incumbent = _leading(0.02)
    assert incumbent.reference == 0
    incumbent.drop(0)
    assert incumbent.reference == 1
    assert Incumbent("max").reference is None


def test_without_noise_the_values_alone_count() -> None:
    incumbent = Incumbent("max")
    for trial, value in enumerate((0.599, 0.600)):
        incumbent.began(trial, trusted=True)
        incumbent.report(Report(trial, 9, value, 1.0))
    assert incumbent.is_best(1)


def _scored(*values: tuple[float, int]) -> Incumbent:
    """Trials with a value each on so many of 200 rows; 0: on all."""
    incumbent = Incumbent("max", judged_again({**JUDGED, "version": 2}))
    for trial, (value, rows) in enumerate(values):
        incumbent.began(trial, trusted=False)
        incumbent.report(Report(trial, 9, value, 1.0, {"val_rows": float(rows)} if rows else {}))
    return incumbent


def test_lucky_score_of_a_few_rows_takes_over_only_beyond_its_noise() -> None:
    assert _scored((0.80, 0), (0.85, 20)).is_best(0)  # whose standard error is .08
    assert _scored((0.70, 0), (0.85, 20)).is_best(1)
    assert _scored((0.80, 0), (0.85, 0)).is_best(1)
    assert _scored((0.80, 20), (0.85, 20)).is_best(1)
    leader = _scored((0.80, 0), (0.85, 20)).leader
    assert leader is not None and leader.trial == 1


def test_of_those_that_a_lucky_score_does_not_beat_the_best_leads_and_so_on_to_more_rows() -> None:
    assert _scored((0.80, 0), (0.82, 0), (0.85, 20)).is_best(1)
    assert _scored((0.80, 0), (0.83, 100), (0.85, 20)).is_best(0)
    incumbent = _scored((0.80, 0), (0.85, 20))
    incumbent.drop(0)
    assert incumbent.is_best(1)


def test_first_of_the_portfolio_gives_way_only_beyond_the_noise_of_the_fewer_rows() -> None:
    incumbent = Incumbent("max", judged_again({**JUDGED, "version": 2}))
    for trial, value in enumerate((0.80, 0.85)):
        incumbent.began(trial, trusted=True)
        incumbent.report(Report(trial, 9, value, 1.0, {"val_rows": 40.0}))
    assert incumbent.is_best(0)  # on 200 rows the second would be better by more than one standard error


def test_who_led_is_known_and_the_same_when_the_rounds_are_read_again() -> None:
    live = Incumbent("max")
    told = [(0, 1, 0.5), (1, 1, 0.6), (0, 2, 0.55), (2, 1, 0.2), (1, 2, 0.1), (3, 1, 0.9), (0, 3, 0.95)]
    for trial, round, value in told:
        live.report(Report(trial, round, value, 1.0))
    assert live.led == [0, 1, 3]
    assert live.has_led(1) and not live.has_led(2)
    again = Incumbent("max")
    again.restore(_stored(told))
    assert again.led == live.led
    assert again.best == live.best
    again.drop(1)
    assert again.led == [0, 3]


def test_failed_trials_of_an_earlier_run_never_led() -> None:
    incumbent = Incumbent("max")
    incumbent.restore(_stored([(0, 1, 0.5), (1, 1, 0.6)], failed=1))
    assert incumbent.led == [0]


def _stored(told: list[tuple[int, int, float]], failed: int | None = None) -> list[StoredTrial]:
    """The trials of these rounds, which ended in this order."""
    return [
        StoredTrial(
            number=number,
            state=TrialState.FAILED if number == failed else TrialState.PAUSED,
            config={},
            origin="sampler",
            reports=tuple(Report(*one, 1.0) for one in told if one[0] == number),
            report_times=tuple(float(place) for place, one in enumerate(told) if one[0] == number),
            checkpoint=0,
            reason=None,
            interrupted=False,
            started=0.0,
            ended=None,
        )
        for number in sorted({one[0] for one in told})
    ]
