"""The local and the simulated engine, through `search`."""

import math
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from automl.errors import ConfigError, StudyError, TimeLimitError, TrialError
from automl.machine import Moment
from automl.records import Config, TrialState
from automl.search import search
from automl.search.engines.ray.engine import RayEngine
from automl.search.engines.ray.runtime import RayRuntime
from automl.search.reasons import Code
from automl.search.result import SearchResult
from automl.search.storage.checkpoints import checkpoint_round
from automl.search.tune import tune
from tests.search.toy import Counter, Listener, ToySpace, climb, code_of, settings

ENGINES = ["local", "simulated"]


def decisions(result: SearchResult) -> list[tuple[Any, ...]]:
    return [
        (trial.number, trial.state, trial.config, trial.rounds, trial.value, trial.reason)
        for trial in result.trials
    ]


@pytest.mark.parametrize("policy", ["asha", "stop-asha", "median", "hyperband", "none"])
def test_local_and_simulated_decide_the_same_on_the_same_curves(policy: str) -> None:
    found = [
        search(climb, ToySpace(), settings(engine=engine, policy=policy, parallel=3, n_trials=20))
        for engine in ENGINES
    ]
    assert decisions(found[0]) == decisions(found[1])
    assert found[0].best == found[1].best


@pytest.mark.parametrize("sampler", ["tpe", "random"])
def test_same_seed_gives_the_same_search_on_both_engines(sampler: str) -> None:
    found = [
        search(climb, ToySpace(), settings(engine=engine, sampler=sampler, seed=5, parallel=1, n_trials=18))
        for engine in (*ENGINES, "simulated")
    ]
    assert decisions(found[0]) == decisions(found[1]) == decisions(found[2])
    other = search(climb, ToySpace(), settings(seed=6, parallel=1))
    assert other.trials[0].config != found[0].trials[0].config


def test_virtual_times_follow_the_reported_seconds() -> None:
    def steady(config: Config) -> Iterator[dict[str, float]]:
        while True:
            yield {"accuracy": config["x"], "seconds": 3.0}

    result = search(steady, ToySpace(), settings(n_trials=4, parallel=2, policy="none", max_rounds=5))
    assert [(trial.started, trial.ended, trial.seconds) for trial in result.trials] == [
        (0, 15, 15),
        (0, 15, 15),
        (15, 30, 15),
        (15, 30, 15),
    ]
    assert result.seconds == 30 and result.busy_seconds == 60 and result.rounds_run == 20


def test_round_without_seconds_counts_one_virtual_second() -> None:
    def silent(config: Config) -> Iterator[dict[str, float]]:
        for _ in range(4):
            yield {"accuracy": 1.0}

    result = search(silent, ToySpace(), settings(n_trials=1, policy="none", max_rounds=4))
    assert result.seconds == 4


@pytest.mark.parametrize("limit", [7.0, 20.0])
def test_virtual_time_limit_is_kept_exactly(limit: float) -> None:
    result = search(climb, ToySpace(), settings(n_trials=None, time_limit=limit, parallel=3))
    assert result.seconds == limit and result.stopped_for(Code.TIME_IS_UP)
    assert max(moment for trial in result.trials for moment in trial.report_times) <= limit
    assert not {trial.state for trial in result.trials} & {TrialState.RUNNING, TrialState.PAUSED}
    assert Code.TIME_IS_UP in {code_of(trial) for trial in result.trials}


def test_many_simulated_workers_are_used_at_once() -> None:
    result = search(climb, ToySpace(), settings(n_trials=40, parallel=40, policy="none"))
    assert {trial.started for trial in result.trials} == {0}


def test_wall_time_limit_stops_the_local_engine() -> None:
    def slow(config: Config) -> Iterator[dict[str, float]]:
        while True:
            time.sleep(0.01)
            yield {"accuracy": config["x"]}

    begin = time.monotonic()
    result = search(slow, ToySpace(), settings(engine="local", n_trials=None, time_limit=0.15))
    assert time.monotonic() - begin < 1.5
    assert result.stopped_for(Code.TIME_IS_UP) and len(result.trials) > 1


def test_absolute_deadline_is_kept() -> None:
    moment = Moment.now().later(0.5)
    result = search(climb, ToySpace(), settings(engine="local", n_trials=None, deadline=moment))
    assert result.stopped_for(Code.TIME_IS_UP) and result.seconds == pytest.approx(0.5, abs=0.5)


@pytest.mark.parametrize("jump", [-3600.0, 3600.0])
def test_clock_that_is_set_during_a_search_changes_nothing(
    jump: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    wall = time.time

    def sets_the_clock(config: Config) -> Iterator[dict[str, float]]:
        monkeypatch.setattr(time, "time", lambda: wall() + jump)
        for _ in range(9):
            time.sleep(0.01)
            yield {"accuracy": config["x"]}

    begin, moment = time.monotonic(), Moment.now().later(1.5)
    result = search(sets_the_clock, ToySpace(), settings(engine="local", n_trials=None, deadline=moment))
    assert 1.0 < time.monotonic() - begin < 10.0
    assert result.stopped_for(Code.TIME_IS_UP) and len(result.trials) > 1
    assert result.first_report is not None and 0.0 < moment.after(result.first_report) < 1.5


@pytest.mark.parametrize("engine", ENGINES)
def test_crash_of_one_trial_leaves_the_others(engine: str) -> None:
    def fragile(config: Config) -> Iterator[dict[str, float]]:
        for step, report in enumerate(climb(config)):
            if config["kind"] == "b" and step == 1:
                raise ValueError(f"kind {config['kind']!r} cannot be trained")
            yield report

    result = search(fragile, ToySpace(), settings(engine=engine, n_trials=14))
    failed = [trial for trial in result.trials if trial.state is TrialState.FAILED]
    assert failed and all(trial.config["kind"] == "b" for trial in failed)
    assert all("ValueError: kind 'b' cannot be trained (test_in_process.py" in str(t.reason) for t in failed)
    assert result.best.config["kind"] == "a" and result.counts["complete"] > 0


def test_crash_while_being_made_is_a_failed_trial_too() -> None:
    class Broken(Counter):
        def __init__(self, config: Config) -> None:
            if config["kind"] == "b":
                raise RuntimeError("no such kind")
            super().__init__(config)

    result = search(Broken, ToySpace(), settings(n_trials=10))
    assert 0 < result.counts["failed"] < 10


def test_objective_that_always_fails_stops_after_five_with_the_cause() -> None:
    begun = []

    def broken(config: Config) -> Iterator[dict[str, float]]:
        begun.append(config)
        raise KeyError("labels")

    with pytest.raises(TrialError, match="first 5 trials all failed, 5 of 5 with KeyError: 'labels'"):
        search(broken, ToySpace(), settings(n_trials=50, parallel=1))
    assert len(begun) == 5


def test_few_trials_that_all_fail_are_told_too() -> None:
    def broken(config: Config) -> Iterator[dict[str, float]]:
        raise KeyError("labels")

    with pytest.raises(TrialError, match="no trial gave a value, and trials failed: 2 of 2"):
        search(broken, ToySpace(), settings(n_trials=2))


def test_missing_metric_is_one_error_with_the_keys() -> None:
    with pytest.raises(TrialError, match="metric 'f1', but trial 0 reported 'accuracy', 'loss'"):
        search(climb, ToySpace(), settings(metric="f1", parallel=1))


def test_nothing_but_nan_is_an_error() -> None:
    with pytest.raises(TrialError, match="no trial reported a finite 'accuracy'"):
        search(lambda c: iter([{"accuracy": math.nan}] * 9), ToySpace(), settings(max_rounds=9, n_trials=3))


def test_time_limit_below_one_round_is_an_error() -> None:
    with pytest.raises(TimeLimitError, match="no trial ended its first round within"):
        search(climb, ToySpace(), settings(time_limit=0.5))


def test_no_trial_in_time_still_gives_a_configuration_to_deliver() -> None:
    late = settings(engine="local", n_trials=None, deadline=Moment.now().later(-1.0), deliver_anyway=True)
    space = ToySpace(({"x": 0.25, "kind": "a"},))
    found = search(climb, space, late)
    assert found.trials == () and found.counts["total"] == 0 and found.stopped_for(Code.TIME_IS_UP)
    assert found.best.config == {"x": 0.25, "kind": "a"} and math.isnan(found.best.value)
    with pytest.raises(TimeLimitError, match="no trial ended its first round"):
        search(climb, space, replace(late, deliver_anyway=False))


def test_trials_cut_before_a_report_are_a_matter_of_time() -> None:
    """Workers may be slow to start, and stop a little before the deadline: nothing is wrong with the values."""
    timed = settings(engine="local", n_trials=1, time_limit=60.0, deliver_anyway=True)
    space = ToySpace(({"x": 0.25, "kind": "a"},))

    def cut(config: Config) -> Iterator[dict[str, float]]:
        return iter([{"interrupted": True}])

    found = search(cut, space, timed)
    assert found.best.config == {"x": 0.25, "kind": "a"} and math.isnan(found.best.value)
    assert found.counts["unfinished"] == 1
    with pytest.raises(TimeLimitError, match="no trial ended its first round"):
        search(cut, space, replace(timed, deliver_anyway=False))


@pytest.mark.parametrize("engine", ENGINES)
def test_state_survives_pauses(engine: str, tmp_path: Path) -> None:
    result = search(Counter, ToySpace(), settings(engine=engine, n_trials=15, directory=tmp_path))
    assert result.counts["complete"] > 0
    for trial in result.trials:
        sums = [trial.config["x"] * sum(range(1, round + 1)) for round in range(1, trial.rounds + 1)]
        assert [report.value for report in trial.reports] == pytest.approx(sums)


def test_paused_generators_beyond_the_cap_are_replayed(monkeypatch: pytest.MonkeyPatch) -> None:
    started = []

    def noted(config: Config) -> Iterator[dict[str, float]]:
        started.append(config["x"])
        yield from climb(config)

    monkeypatch.setattr("automl.search.engines.event_loop.MAX_ALIVE", 1)
    capped = search(noted, ToySpace(), settings(n_trials=20))
    assert len(started) > 20
    monkeypatch.undo()
    assert decisions(capped) == decisions(search(climb, ToySpace(), settings(n_trials=20)))


def test_best_keeps_its_checkpoint_and_logs_are_written(tmp_path: Path) -> None:
    result = search(Counter, ToySpace(), settings(n_trials=8, directory=tmp_path))
    kept = sorted(path.parent.name for path in (tmp_path / "trials").glob("*/checkpoint"))
    assert kept == [f"t{result.best.number:04d}"]
    assert result.best.checkpoint is not None and (result.best.checkpoint / "state.json").exists()
    assert len(list((tmp_path / "trials").glob("t*/log.csv"))) == 8


def test_interrupted_search_goes_on_to_the_same_trials(tmp_path: Path) -> None:
    class Impatient(Listener):
        def progress(self, done: float, total: float) -> None:
            if len(self.events) > 25:
                raise KeyboardInterrupt

    common = {"storage": f"sqlite:///{tmp_path}/study.db", "directory": tmp_path, "n_trials": 15}
    with pytest.raises(KeyboardInterrupt):
        search(Counter, ToySpace(), settings(**common), Impatient())
    result = search(Counter, ToySpace(), settings(**common))
    assert [trial.number for trial in result.trials] == list(range(15))
    assert result.counts["paused"] == 0 and result.counts["complete"] > 0
    for trial in result.trials:
        assert [report.round for report in trial.reports] == list(range(1, trial.rounds + 1))
        assert trial.value == pytest.approx(trial.config["x"] * sum(range(1, trial.rounds + 1)))


def test_same_search_again_has_nothing_to_do(tmp_path: Path) -> None:
    common = {"storage": f"sqlite:///{tmp_path}/study.db", "n_trials": 6}
    first = search(climb, ToySpace(), settings(**common))

    def untouched(config: Config) -> Iterator[dict[str, float]]:
        raise RuntimeError("a finished trial was run again")

    again = search(untouched, ToySpace(), settings(**common))
    assert decisions(again) == decisions(first) and again.best == first.best


def test_other_space_is_refused_by_name(tmp_path: Path) -> None:
    common = {"storage": f"sqlite:///{tmp_path}/study.db"}
    search(climb, ToySpace(), settings(**common))
    with pytest.raises(StudyError, match="space.parameters.x.high was 1.0, now 2.0"):
        search(climb, ToySpace(high=2.0), settings(**common))


def test_objective_that_ends_by_itself_is_complete_at_its_last_round() -> None:
    result = search(lambda c: iter([{"accuracy": c["x"]}] * 1), ToySpace(), settings(n_trials=3))
    assert {(trial.state, trial.rounds) for trial in result.trials} == {(TrialState.COMPLETE, 1)}


def test_deadline_inside_of_a_round_leaves_the_trial_unfinished() -> None:
    class Cut(Counter):
        def step(self) -> dict[str, Any]:
            if self.round == 1:
                return {"interrupted": True, "seconds": 0.5}
            return super().step()

    result = search(Cut, ToySpace(), settings(n_trials=3))
    assert {(t.state, code_of(t), t.rounds) for t in result.trials} == {
        (TrialState.UNFINISHED, Code.TIME_IS_UP, 1)
    }


def test_sigint_ends_the_search_in_order(tmp_path: Path) -> None:
    def interrupting(config: Config) -> Iterator[dict[str, float]]:
        for step, report in enumerate(climb(config)):
            if step == 3:
                os.kill(os.getpid(), signal.SIGINT)
            yield report

    before = signal.getsignal(signal.SIGINT)
    result = search(interrupting, ToySpace(), settings(engine="local", directory=tmp_path))
    assert signal.getsignal(signal.SIGINT) is before
    assert result.stopped_for(Code.INTERRUPTED) and str(result.stopped) == "interrupted by Ctrl-C"
    assert TrialState.RUNNING not in {trial.state for trial in result.trials}
    assert result.counts["paused"] > 0


@pytest.mark.parametrize("ending", ["ctrl-c", "deadline"])
def test_trial_that_the_end_of_the_search_cuts_is_saved_at_its_last_round(
    ending: str, tmp_path: Path
) -> None:
    class Last(Counter):
        def step(self) -> dict[str, float]:
            if self.round == 3:  # its round 4 is no rung
                if ending == "ctrl-c":
                    os.kill(os.getpid(), signal.SIGINT)
                time.sleep(0.0 if ending == "ctrl-c" else 0.6)
            return super().step()

    common = {"storage": f"sqlite:///{tmp_path}/study.db", "directory": tmp_path, "parallel": 1}
    space = ToySpace(({"x": 0.5, "kind": "a"},))
    limits = {"policy": "none", "n_trials": 1, "time_limit": 0.5 if ending == "deadline" else None}
    first = search(Last, space, settings(engine="local", **common, **limits))
    (trial,) = first.trials
    assert (trial.rounds, trial.checkpoint) == (4, 4)
    assert first.best.checkpoint is not None and checkpoint_round(first.best.checkpoint) == first.best.round
    again = search(Counter, space, settings(engine="local", **common, **{**limits, "time_limit": None}))
    assert [report.round for report in again.trials[0].reports] == list(range(1, 10))
    assert again.counts["complete"] == again.counts["total"] == 1
    assert again.best.value == pytest.approx(0.5 * sum(range(1, 10)))


def test_unknown_engine_names_the_closest() -> None:
    with pytest.raises(ConfigError, match="did you mean 'local'"):
        search(climb, ToySpace(), settings(engine="locl"))


def test_short_search_ends_with_a_complete_trial() -> None:
    def train(config: Config) -> Iterator[dict[str, float]]:
        for _ in range(27):
            yield {"accuracy": config["x"], "seconds": 1.0}

    space = {"parameters": {"x": {"type": "float", "low": 0.0, "high": 1.0}}}
    found = tune(
        train,
        space,
        metric="accuracy",
        max_epochs=27,
        time_limit=45.0,
        engine="simulated",
        policy="asha",
        sampler="random",
        seed=1,
    )
    complete = found.trials[found.trials["state"] == "complete"]
    assert len(complete) == 1


class NeverUp(RayRuntime):
    """A Ray that does not come up."""

    def wait(self, seconds: float | None = None) -> bool:
        assert seconds is not None
        time.sleep(min(seconds, 5.0))
        return False


def test_ray_that_does_not_come_up_leaves_most_of_the_time_to_this_process() -> None:
    notes: list[str] = []
    chosen = settings(engine="ray", n_trials=None, time_limit=4.0, parallel=2)

    def quick(config: Config) -> Iterator[dict[str, float]]:
        for _ in range(9):
            time.sleep(0.01)
            yield {"accuracy": config["x"]}

    result = search(quick, ToySpace(), chosen, engine=RayEngine(NeverUp(), note=notes.append))
    assert len(result.trials) > 1 and result.first_report is not None
    assert len(notes) == 1 and notes[0].startswith("Ray has not started within 1 s")
