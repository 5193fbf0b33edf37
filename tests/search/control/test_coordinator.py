"""Between engines on one side, policy and store on the other."""

import csv
import math
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState as OptunaState

from automl.errors import TrialError
from automl.records import TrialState
from automl.search.objective import Step
from automl.search.policy import Action, Next, NextKind, Significance
from automl.search.reasons import Code, Reason, crashed
from automl.search.storage.store import Worker
from automl.search.storage.summary import read_summary
from tests.search.control.bench import Bench
from tests.search.toy import code_of, constant_noise

AGAIN = Reason(Code.LAST_RESORT, {"rank": 1, "trials": 2, "round": 2})


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    found = Bench(tmp_path)
    yield found
    found.store.close()


def test_next_waits_when_all_workers_are_busy(bench: Bench) -> None:
    assert bench.coordinator.next().kind is NextKind.START
    bench.coordinator.start()
    bench.coordinator.start()
    assert bench.coordinator.next().kind is NextKind.WAIT


def test_asking_what_to_do_changes_nothing(bench: Bench) -> None:
    first = bench.coordinator.start().number
    bench.coordinator.failed(first, crashed("killed"), lost=True)
    before = repr(bench.store.events()), list(bench.listener.events)  # NaN equals itself in a text only
    choices = [bench.coordinator.next() for _ in range(3)]
    assert choices == [Next(NextKind.RESUME, Reason(Code.LOST), first)] * 3
    assert (repr(bench.store.events()), bench.listener.events) == before
    bench.coordinator.resume(first, AGAIN)
    assert bench.store.events()[-1].reason == AGAIN


def test_portfolio_comes_first_and_is_marked(tmp_path: Path) -> None:
    first = {"x": 0.25, "kind": "a"}
    bench = Bench(tmp_path, (first, {"x": 0.5, "kind": "b", "extra": 0.1}))
    assert bench.coordinator.start().config == first
    assert bench.coordinator.start().config["extra"] == 0.1
    bench.coordinator.start()
    assert [trial.origin for trial in bench.store.trials()] == ["portfolio", "portfolio", "sampler"]
    bench.store.close()


def test_a_lead_by_chance_in_the_portfolio_gives_way_also_in_a_continued_study(tmp_path: Path) -> None:
    portfolio = ({"x": 0.25, "kind": "a"}, {"x": 0.5, "kind": "a"})
    for begins in (True, False):  # then continued
        bench = Bench(tmp_path, portfolio, significance=constant_noise(0.02))
        if begins:
            for _ in portfolio:
                bench.coordinator.start()
            for trial, value in ((0, 0.50), (1, 0.51)):
                bench.run_round(trial, value, saved=True)
        incumbent = bench.coordinator.incumbent
        assert incumbent.is_best(0) and incumbent.leader is not None and incumbent.leader.trial == 1
        bench.coordinator.request_stop(Reason(Code.INTERRUPTED))
        bench.coordinator.finish()
        bench.store.close()


def test_portfolio_is_not_tried_again_by_a_later_run(tmp_path: Path) -> None:
    portfolio = ({"x": 0.25, "kind": "a"}, {"x": 0.5, "kind": "a"})
    bench = Bench(tmp_path, portfolio)
    bench.coordinator.start()
    bench.store.close()
    bench = Bench(tmp_path, portfolio)
    assert bench.coordinator.start().config == {"x": 0.5, "kind": "a"}
    assert bench.coordinator.start().config["x"] not in (0.25, 0.5)
    bench.store.close()


def test_pause_is_stored_and_the_trial_resumes_where_it_stood(bench: Bench) -> None:
    first = bench.coordinator.start().number
    bench.coordinator.start()
    bench.run_round(first, 0.5)
    assert bench.run_round(first, 0.6, saved=True) is Action.PAUSE
    assert bench.states() == [TrialState.PAUSED, TrialState.RUNNING]
    assert bench.store.trials()[0].checkpoint == 2
    launch = bench.coordinator.resume(first, AGAIN)
    assert launch.round == 2 and launch.checkpoint.parent.name == "t0000"
    assert bench.states()[0] is TrialState.RUNNING


def test_full_length_completes_with_the_last_value(bench: Bench) -> None:
    trial = bench.coordinator.start().number
    for round in range(1, 10):
        if bench.run_round(trial, round / 10 if round < 9 else 0.3) is Action.PAUSE:
            bench.coordinator.resume(trial, AGAIN)
    (stored,) = bench.store.trials()
    assert (stored.state, stored.value, stored.rounds) == (TrialState.COMPLETE, 0.3, 9)


def test_objective_that_ends_by_itself_is_complete(bench: Bench) -> None:
    trial = bench.coordinator.start().number
    bench.run_round(trial, 0.5)
    decision = bench.coordinator.report(trial, Step(1, {}, None, 0.1, ended=True))
    assert (decision.state, decision.reason.code) == (TrialState.COMPLETE, Code.ENDED_BY_ITSELF)
    second = bench.coordinator.start().number
    bench.run_round(second, 0.7, done=True)
    third = bench.coordinator.start().number
    step = Step(1, {"accuracy": 0.6}, 2.0, 1.0, done=True, reason="no better for 3 rounds")
    decision = bench.coordinator.report(third, step)
    assert (decision.state, str(decision.reason)) == (TrialState.COMPLETE, "no better for 3 rounds")
    assert bench.states() == [TrialState.COMPLETE] * 3


def test_objective_without_any_round_failed(bench: Bench) -> None:
    trial = bench.coordinator.start().number
    decision = bench.coordinator.report(trial, Step(0, {}, None, 0.1, ended=True))
    assert (decision.state, decision.reason.code) == (TrialState.FAILED, Code.NO_ROUND)


def test_nan_at_the_end_is_a_failure_and_not_a_value(bench: Bench) -> None:
    trial = bench.coordinator.start().number
    bench.run_round(trial, math.nan, done=True)
    (stored,) = bench.store.trials()
    reason = Reason(Code.NO_VALUE, {"metric": "accuracy", "value": "nan", "round": 1})
    assert (stored.state, stored.reason) == (TrialState.FAILED, reason)


def test_interrupted_round_leaves_its_trial_unfinished(bench: Bench) -> None:
    one, two = bench.coordinator.start().number, bench.coordinator.start().number
    bench.run_round(one, 0.5)
    bench.coordinator.report(one, Step(2, {}, 0.4, 0.4, interrupted=True))
    bench.run_round(two, 0.5, interrupted=True)
    assert bench.states() == [TrialState.UNFINISHED, TrialState.UNFINISHED]
    assert {code_of(trial) for trial in bench.store.trials()} == {Code.TIME_IS_UP}
    assert [trial.rounds for trial in bench.store.trials()] == [1, 1]


def test_deadline_leaves_unfinished_what_runs_and_what_no_other_trial_has_beaten(tmp_path: Path) -> None:
    bench = Bench(tmp_path, time_limit=10)
    one, two = bench.coordinator.start().number, bench.coordinator.start().number
    bench.run_round(one, 0.5)
    bench.run_round(one, 0.5)
    bench.run_round(two, 0.5)
    assert bench.coordinator.time.remaining() == pytest.approx(7)
    bench.now += 10
    assert bench.coordinator.next().kind is NextKind.FINISH
    bench.coordinator.finish()
    assert bench.states() == [TrialState.UNFINISHED, TrialState.UNFINISHED]
    assert {code_of(trial) for trial in bench.store.trials()} == {Code.TIME_IS_UP}
    bench.store.close()


@pytest.mark.parametrize("known", [None, constant_noise(0.02, trivial=0.1)])
def test_at_the_deadline_only_beaten_trials_count_as_pruned(
    known: Significance | None, tmp_path: Path
) -> None:
    bench = Bench(tmp_path, time_limit=100, parallel=4, significance=known)
    values = {0: 0.5, 1: 0.49, 2: 0.3, 3: 0.11}
    for trial in values:
        assert bench.coordinator.start().number == trial
    for trial, value in values.items():
        bench.run_round(trial, value)
        bench.run_round(trial, value)
    assert bench.coordinator.running == []
    bench.now += 100
    bench.coordinator.finish()
    states = dict(enumerate(bench.states()))
    reasons = {trial.number: str(trial.reason) for trial in bench.store.trials()}
    assert (states[2], reasons[2]) == (
        TrialState.PRUNED,
        "rank 3 of 4 at round 2: 2 did better, trial 0 most",
    )
    assert states[0] is TrialState.UNFINISHED and reasons[0] == "time is up"
    if known is None:
        assert states[1] is TrialState.PRUNED and states[3] is TrialState.PRUNED
        assert reasons[1] == "rank 2 of 4 at round 2: 1 did better, trial 0 most"
    else:  # 0.49 is as good as 0.5, and 0.11 is at chance
        assert states[1] is TrialState.UNFINISHED and states[3] is TrialState.UNFINISHED
    shown = optuna.load_study(study_name="s", storage=str(bench.settings.storage))
    attributes = {trial.number: trial.user_attrs for trial in shown.trials}
    assert {trial.state for trial in shown.trials} == {OptunaState.PRUNED}
    assert [("unfinished" in attributes[n]) for n in values] == [
        s is TrialState.UNFINISHED for s in states.values()
    ]
    found = read_summary(str(bench.settings.storage), "s")
    assert found is not None and {row.trial: row.state for row in found.trials} == states
    bench.store.close()


def test_time_that_ends_before_the_first_trial_leaves_no_trial_behind(tmp_path: Path) -> None:
    bench = Bench(tmp_path, ({"x": 0.25, "kind": "a"},), time_limit=10)
    bench.now += 11
    bench.coordinator.finish()
    assert bench.coordinator.first_config() == {"x": 0.25, "kind": "a"}
    assert bench.store.trials() == [] and bench.listener.events == []
    bench.store.close()


def test_late_result_after_the_end_changes_nothing(tmp_path: Path) -> None:
    bench = Bench(tmp_path, time_limit=10)
    trial = bench.coordinator.start().number
    bench.now += 11
    bench.coordinator.finish()
    assert bench.run_round(trial, 0.5) is Action.STOP
    assert bench.store.trials()[0].reports == ()
    bench.store.close()


def test_requested_stop_leaves_trials_to_be_continued(tmp_path: Path) -> None:
    bench = Bench(tmp_path, n_trials=3)
    one, two = bench.coordinator.start().number, bench.coordinator.start().number
    bench.run_round(one, 0.5)
    bench.run_round(one, 0.5, saved=True)
    bench.coordinator.resume(one, AGAIN)
    bench.run_round(one, 0.6)
    bench.run_round(two, 0.4)
    bench.coordinator.request_stop(Reason(Code.DISK_FULL))
    bench.coordinator.request_stop(Reason(Code.INTERRUPTED))
    assert bench.run_round(two, 0.5) is Action.PAUSE
    bench.coordinator.finish()
    assert bench.states() == [TrialState.PAUSED, TrialState.PAUSED]
    assert bench.coordinator.why_stopped() == Reason(Code.DISK_FULL)
    bench.store.close()
    again = Bench(tmp_path, n_trials=3)
    choice = again.coordinator.next()
    assert (choice.kind, choice.trial) == (NextKind.RESUME, one)
    assert again.coordinator.resume(one, AGAIN).round == 2
    again.store.close()


def test_trials_of_a_died_run_go_on_from_their_checkpoint_or_from_the_start(tmp_path: Path) -> None:
    bench = Bench(tmp_path, n_trials=3)
    one, two = bench.coordinator.start(), bench.coordinator.start()
    bench.run_round(one.number, 0.5)
    assert bench.run_round(one.number, 0.5, saved=True) is Action.PAUSE
    bench.coordinator.resume(one.number, AGAIN)
    bench.run_round(one.number, 0.55)
    bench.run_round(two.number, 0.4)
    bench.store.close()
    again = Bench(tmp_path, n_trials=3)
    assert again.states() == [TrialState.PAUSED, TrialState.PAUSED]
    assert again.coordinator.next().trial == 0
    first = again.coordinator.resume(0, AGAIN)
    assert (first.round, first.config) == (2, one.config)
    second = again.coordinator.resume(1, AGAIN)
    assert (second.round, second.config) == (0, two.config)
    assert again.coordinator.running == [0, 1]
    again.store.close()


def test_time_goes_on_where_the_earlier_run_had_stopped(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    trial = bench.coordinator.start().number
    bench.now += 40
    bench.run_round(trial, 0.5)
    bench.store.close()
    again = Bench(tmp_path)
    assert again.coordinator.time.now() == pytest.approx(41)
    assert again.coordinator.time.elapsed() == 0
    again.store.close()


def test_finished_trials_never_run_again_and_n_trials_is_a_total(tmp_path: Path) -> None:
    bench = Bench(tmp_path, n_trials=2)
    for _ in range(2):
        bench.run_round(bench.coordinator.start().number, 0.5, done=True)
    bench.store.close()
    assert (again := Bench(tmp_path, n_trials=2)).coordinator.next().kind is NextKind.FINISH
    again.store.close()
    more = Bench(tmp_path, n_trials=3)
    assert more.coordinator.next().kind is NextKind.START
    assert more.coordinator.start().number == 2
    more.store.close()


def test_only_paused_trials_and_the_incumbent_keep_checkpoints(bench: Bench) -> None:
    good, bad = bench.coordinator.start().number, bench.coordinator.start().number
    bench.run_round(bad, 0.3, saved=True, done=True)
    assert bench.files.checkpoint(bad).exists()
    bench.run_round(good, 0.9, saved=True)
    assert not bench.files.checkpoint(bad).exists()
    bench.run_round(good, 0.9, saved=True, done=True)
    worse = bench.coordinator.start().number
    bench.run_round(worse, 0.1, saved=True, done=True)
    assert bench.files.checkpoint(good).exists() and not bench.files.checkpoint(worse).exists()
    assert [trial.checkpoint for trial in bench.store.trials()] == [2, 0, 0]


def test_missing_metric_ends_the_search_naming_what_is_there(bench: Bench) -> None:
    trial = bench.coordinator.start().number
    bench.coordinator.report(trial, Step(1, {"acc": 0.5, "loss": 1.0}, None, 0.1))
    assert bench.coordinator.next().kind is NextKind.FINISH
    assert isinstance(bench.coordinator.fatal, TrialError)
    assert "'accuracy', but trial 0 reported 'acc', 'loss'" in str(bench.coordinator.fatal)


@pytest.mark.parametrize("value", ["high", None, True, [0.1, 0.2]])
def test_metric_that_is_no_number_ends_the_search(bench: Bench, value: object) -> None:
    trial = bench.coordinator.start().number
    bench.coordinator.report(trial, Step(1, {"accuracy": value}, None, 0.1))
    assert "must be a number" in str(bench.coordinator.fatal)
    assert bench.states() == [TrialState.FAILED]


def test_first_failures_in_a_row_end_the_search_with_their_common_cause(tmp_path: Path) -> None:
    bench = Bench(tmp_path, max_failures=3)
    for cause in ("ValueError: a", "KeyError: b", "ValueError: a"):
        assert bench.coordinator.fatal is None
        bench.coordinator.failed(bench.coordinator.start().number, crashed(cause))
    assert "first 3 trials all failed, 2 of 3 with ValueError: a" in str(bench.coordinator.fatal)
    bench.store.close()


def test_failures_after_a_success_do_not_end_the_search(tmp_path: Path) -> None:
    bench = Bench(tmp_path, max_failures=2)
    bench.run_round(bench.coordinator.start().number, 0.5, done=True)
    for _ in range(3):
        bench.coordinator.failed(bench.coordinator.start().number, crashed("ValueError: a"))
    assert bench.coordinator.fatal is None
    bench.store.close()


def test_events_tell_the_incumbent_and_come_in_order(bench: Bench) -> None:
    one, two = bench.coordinator.start().number, bench.coordinator.start().number
    bench.run_round(one, 0.5)
    bench.run_round(two, 0.9)
    bench.run_round(one, 0.6, done=True)
    told = [(event.trial, event.round, event.value, event.incumbent) for event in bench.listener.events]
    assert told == [
        (0, 0, None, False),
        (1, 0, None, False),
        (0, 1, 0.5, True),
        (1, 1, 0.9, True),
        (0, 2, 0.6, False),
    ]
    assert [event.time for event in bench.listener.events] == [0, 0, 1, 2, 3]
    assert bench.listener.steps[-1] == (1.0, 12.0)


def test_log_holds_one_row_a_round_and_is_cut_when_rounds_run_again(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    trial = bench.coordinator.start().number
    bench.run_round(trial, 0.5)
    bench.run_round(trial, 0.6, saved=True)
    bench.coordinator.resume(trial, AGAIN)
    bench.run_round(trial, 0.65)
    bench.store.close()
    again = Bench(tmp_path)
    again.coordinator.resume(trial, AGAIN)
    again.run_round(trial, 0.7)
    again.store.close()
    with (tmp_path / "trials/t0000/log.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(row["round"], row["accuracy"], row["seconds"]) for row in rows] == [
        ("1", "0.5", "2.000"),
        ("2", "0.6", "2.000"),
        ("3", "0.7", "2.000"),
    ]


def test_worker_of_a_run_is_kept_once_it_is_known(bench: Bench) -> None:
    trial = bench.coordinator.start().number
    bench.coordinator.placed(trial, Worker("host:1", "host", 1))
    bench.coordinator.placed(trial, Worker("host:2", "host", 2))
    bench.run_round(trial, 0.5, done=True)
    with sqlite3.connect(bench.folder / "study.db") as connection:
        rows = connection.execute("SELECT worker, node, pid, started, ended FROM automl_runs").fetchall()
    connection.close()
    assert rows == [("host:1", "host", 1, 0.0, 1.0)]


def test_trial_that_was_tried_again_and_then_pauses_waits_for_its_promotion(
    tmp_path: Path,
) -> None:
    bench = Bench(tmp_path, parallel=1, n_trials=6)
    coordinator = bench.coordinator
    first = coordinator.start().number
    assert coordinator.failed(first, crashed("killed"), lost=True).state is TrialState.PAUSED
    assert (coordinator.next().kind, coordinator.next().trial) == (NextKind.RESUME, first)
    coordinator.resume(first, AGAIN)
    assert bench.run_round(first, 0.1) is Action.CONTINUE
    assert bench.run_round(first, 0.1) is Action.PAUSE
    assert coordinator.next().kind is NextKind.START
    coordinator.start()
    assert coordinator.failed(1, crashed("killed"), lost=True).state is TrialState.PAUSED
    coordinator.resume(1, AGAIN)
    assert coordinator.failed(1, crashed("killed"), lost=True).state is TrialState.FAILED
    bench.store.close()
