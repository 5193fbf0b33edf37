"""The Ray engine, for real: one Ray for all tests of this module."""

import os
import re
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState as OptunaState

from automl.errors import ConfigError, EngineError, TrialError
from automl.records import Config, TrialEvent, TrialState
from automl.search import search
from automl.search.engines.ray.cleanup_process import of_session
from automl.search.engines.ray.engine import RayEngine
from automl.search.engines.ray.runtime import FOLDER, RayRuntime
from automl.search.reasons import Code
from automl.search.result import SearchResult
from tests.search.test_replay import events_of, played_again
from tests.search.toy import Counter, Listener, ToySpace, climb, code_of, settings
from tests.waiting import until

pytestmark = pytest.mark.ray


@pytest.fixture(scope="module")
def runtime() -> Iterator[RayRuntime]:
    with RayRuntime(cpus=2) as found:
        yield found


def run(runtime: RayRuntime, objective: Any, folder: Path, **changes: Any) -> SearchResult:
    chosen = settings(
        engine="ray", storage=f"sqlite:///{folder}/study.db", directory=folder, **{"n_trials": 12, **changes}
    )
    return search(objective, ToySpace(), chosen, engine=RayEngine(runtime))


def in_optuna(folder: Path) -> list[optuna.trial.FrozenTrial]:
    return optuna.load_study(study_name="search", storage=f"sqlite:///{folder}/study.db").get_trials()


def fragile(config: Config) -> Iterator[dict[str, float]]:
    """Kind b breaks in its second round; every sixth or so kills its process."""
    for step, report in enumerate(climb(config)):
        if config["kind"] == "b" and step == 1:
            if config["extra"] < 0.2:
                os.kill(os.getpid(), signal.SIGKILL)
            raise ValueError("kind b cannot be trained")
        yield report


def sleepy(config: Config) -> Iterator[dict[str, float]]:
    """One quick round, then one that outlasts any test."""
    yield {"accuracy": config["x"]}
    time.sleep(120)
    yield {"accuracy": config["x"]}


def test_states_in_the_database_are_the_truth_and_every_round_is_there(
    runtime: RayRuntime, tmp_path: Path
) -> None:
    notes = tmp_path / "notes.txt"
    result = run(runtime, partial(Counter, notes=notes), tmp_path)
    trials = in_optuna(tmp_path)
    assert [trial.number for trial in trials] == list(range(12))
    for trial, stored in zip(trials, result.trials, strict=True):
        rounds = sorted(trial.intermediate_values)
        assert rounds == list(range(1, stored.rounds + 1))
        if trial.state is OptunaState.COMPLETE:
            assert rounds[-1] == 9 and trial.value == trial.intermediate_values[9]
        else:
            assert trial.state is OptunaState.PRUNED and rounds[-1] in (2, 6)
            assert trial.value == trial.intermediate_values[rounds[-1]]
            why = trial.user_attrs["reason"]
            assert re.fullmatch(r"rank \d+ of \d+ at round [26]: \d+ did better, trial \d+ most", why)
    states = [trial.state for trial in trials]
    assert OptunaState.COMPLETE in states and OptunaState.PRUNED in states
    # A paused trial went on from its state, in whichever process: the sums are those of a run without a
    # pause, and no round was run twice.
    for stored in result.trials:
        sums = [stored.config["x"] * sum(range(1, round + 1)) for round in range(1, stored.rounds + 1)]
        assert [report.value for report in stored.reports] == pytest.approx(sums)
    lines = notes.read_text(encoding="utf-8").splitlines()
    assert len(lines) == result.rounds_run
    # Two processes did all the work.
    pids = {line.split()[2] for line in lines}
    assert len(pids) <= 3 and str(os.getpid()) not in pids
    kept = [path.parent.name for path in (tmp_path / "trials").glob("*/checkpoint")]
    assert kept == [f"t{result.best.number:04d}"]
    with sqlite3.connect(tmp_path / "study.db") as connection:
        rows = connection.execute("SELECT DISTINCT pid, ended IS NULL FROM automl_runs").fetchall()
    connection.close()
    assert {(str(pid), 0) for pid in pids} >= {(str(pid), open_) for pid, open_ in rows}


def test_crashes_are_failures_with_their_cause_and_touch_nobody_else(
    runtime: RayRuntime, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    result = run(runtime, fragile, tmp_path, max_failures=12, seed=2)
    for trial in result.trials:
        broken = trial.config["kind"] == "b"
        assert (trial.state is TrialState.FAILED) == broken
        if broken and trial.config["extra"] >= 0.2:
            assert str(trial.reason).startswith("ValueError: kind b cannot be trained (test_ray.py:")
        elif broken:
            assert "worker process" in str(trial.reason)
    killed = [t for t in result.trials if t.config.get("extra", 1.0) < 0.2]
    assert killed and result.counts["complete"] > 0
    assert capfd.readouterr() == ("", "")


class Worn(Counter):
    """Kind b says that its process should not be used again."""

    @property
    def spent(self) -> bool:
        return bool(self.config["kind"] == "b")


def test_process_that_lost_memory_runs_no_other_trial(runtime: RayRuntime, tmp_path: Path) -> None:
    notes = tmp_path / "notes.txt"
    result = run(runtime, partial(Worn, notes=notes), tmp_path, max_rounds=3)
    assert result.counts["failed"] == 0 and result.counts["complete"] > 0
    kinds = {str(trial.config["x"]): trial.config["kind"] for trial in result.trials}
    assert set(kinds.values()) == {"a", "b"}
    lines = [line.split() for line in notes.read_text(encoding="utf-8").splitlines()]
    of_worn = [{pid for x, _, pid in lines if x == one} for one, kind in kinds.items() if kind == "b"]
    for pids in of_worn:
        for pid in pids:  # nobody came after
            trials = [x for x, _, used in lines if used == pid]
            assert kinds[trials[-1]] == "b" and len({x for x in trials if kinds[x] == "b"}) == 1
    # A paused trial goes on in a new process.
    stored = [trial for trial in result.trials if trial.config["kind"] == "b"]
    for trial in stored:
        assert [report.round for report in trial.reports] == list(range(1, trial.rounds + 1))


def test_deadline_cuts_a_round_that_would_outlast_it(runtime: RayRuntime, tmp_path: Path) -> None:
    begin = time.monotonic()
    result = run(runtime, sleepy, tmp_path, n_trials=None, time_limit=8.0)
    assert time.monotonic() - begin < 14.0
    assert result.stopped_for(Code.TIME_IS_UP) and result.best.round == 1
    assert {(trial.state, code_of(trial)) for trial in result.trials} == {
        (TrialState.UNFINISHED, Code.TIME_IS_UP)
    }


def test_ctrl_c_ends_in_order_and_the_study_goes_on(runtime: RayRuntime, tmp_path: Path) -> None:
    slow = partial(Counter, pause=0.15)

    def press() -> None:
        until(
            lambda: len(list(tmp_path.glob("trials/*/log.csv"))) > 3, limit=60.0
        )  # more trials than workers
        os.kill(os.getpid(), signal.SIGINT)

    presser = threading.Thread(target=press)
    presser.start()
    first = run(runtime, slow, tmp_path, n_trials=30)
    presser.join()
    assert first.stopped_for(Code.INTERRUPTED) and 0 < len(first.trials) < 30
    assert OptunaState.RUNNING not in {trial.state for trial in in_optuna(tmp_path)}
    assert first.counts["paused"] > 0
    second = run(runtime, Counter, tmp_path, n_trials=30)
    assert [trial.number for trial in second.trials] == list(range(30))
    assert second.counts["paused"] == 0 and second.counts["complete"] > 0
    for trial in second.trials:
        assert [report.round for report in trial.reports] == list(range(1, trial.rounds + 1))
        assert trial.value == pytest.approx(trial.config["x"] * sum(range(1, trial.rounds + 1)))


def test_trial_that_ctrl_c_cuts_is_saved_at_its_last_round(runtime: RayRuntime, tmp_path: Path) -> None:
    def press() -> None:
        until(
            lambda: any(len(log.read_text().split()) > 4 for log in tmp_path.glob("trials/*/log.csv")),
            limit=60.0,
        )
        os.kill(os.getpid(), signal.SIGINT)

    presser = threading.Thread(target=press)
    presser.start()
    slow = partial(Counter, pause=0.3)
    common = {"policy": "none", "max_rounds": 500, "n_trials": 2}
    first = run(runtime, slow, tmp_path, **common)
    presser.join()
    assert first.stopped_for(Code.INTERRUPTED)
    assert [trial.checkpoint for trial in first.trials] == [trial.rounds for trial in first.trials]


def test_workers_run_at_normal_priority_with_passive_threads(runtime: RayRuntime, tmp_path: Path) -> None:
    def surroundings(config: Config) -> Iterator[dict[str, float]]:
        passive = os.environ.get("OMP_WAIT_POLICY") == "PASSIVE"
        yield {"accuracy": 1.0, "nice": os.nice(0), "passive": int(passive)}

    result = run(runtime, surroundings, tmp_path, n_trials=1, max_rounds=1)
    assert result.trials[0].reports[0].metrics == {"accuracy": 1.0, "nice": 0.0, "passive": 1.0}


def test_second_runtime_shares_the_first_and_leaves_it_running(runtime: RayRuntime, tmp_path: Path) -> None:
    runtime.wait()
    chosen = settings(engine="ray", directory=tmp_path, n_trials=2, max_rounds=2)
    assert search(climb, ToySpace(), chosen).counts["complete"] == 2
    ray: Any = import_module("ray")
    assert ray.is_initialized()


def test_missing_metric_is_one_error(runtime: RayRuntime, tmp_path: Path) -> None:
    with pytest.raises(TrialError, match="metric 'f1', but trial . reported 'accuracy', 'loss'"):
        run(runtime, climb, tmp_path, metric="f1")


def test_more_than_ray_has_is_refused(runtime: RayRuntime, tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="one trial needs 64 CPU, but Ray has 2"):
        run(runtime, climb, tmp_path, cpus_per_trial=64)


def test_objective_that_cannot_travel_is_refused(runtime: RayRuntime, tmp_path: Path) -> None:
    lock = threading.Lock()

    def locked(config: Config) -> Iterator[dict[str, float]]:
        with lock:
            yield from climb(config)

    with pytest.raises(ConfigError, match="objective cannot be pickled, as Ray needs"):
        run(runtime, locked, tmp_path)

    class Silent:
        def __reduce__(self) -> str:
            raise ValueError  # as objects of C libraries do

        def __call__(self, config: Config) -> Iterator[dict[str, float]]:
            return climb(config)

    with pytest.raises(ConfigError, match=r"cannot be pickled, as Ray needs: .* \(ValueError\)"):
        run(runtime, Silent(), tmp_path)


def test_value_that_cannot_travel_ends_no_worker(runtime: RayRuntime, tmp_path: Path) -> None:
    found = run(runtime, lambda config: [{"accuracy": 0.5, "lock": threading.Lock()}], tmp_path, n_trials=1)
    assert found.best.value == 0.5
    with pytest.raises(TrialError, match="must be a number, but trial 1 reported '<unlocked _thread.lock"):
        run(runtime, lambda config: [{"accuracy": threading.Lock()}], tmp_path, n_trials=2)


def lost_once(config: Config, *, folder: Path) -> Any:
    """The process of each trial's third round dies, the first time."""

    class Dying(Counter):
        def step(self) -> dict[str, float]:
            mark = folder / f"{config['x']}.mark"
            if self.round == 2 and not mark.exists():
                mark.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            return super().step()

    return Dying(config)


def test_trial_whose_process_was_killed_is_tried_once_more_from_its_checkpoint(
    runtime: RayRuntime, tmp_path: Path
) -> None:
    result = run(runtime, partial(lost_once, folder=tmp_path), tmp_path, n_trials=3, policy="none")
    assert len(list(tmp_path.glob("*.mark"))) == 3
    assert result.counts == {
        "total": 3,
        "complete": 3,
        "pruned": 0,
        "unfinished": 0,
        "failed": 0,
        "paused": 0,
    }
    for trial in result.trials:
        assert [report.round for report in trial.reports] == list(range(1, 10))
        assert trial.value == pytest.approx(trial.config["x"] * 45)


def test_trial_that_hangs_is_ended_with_the_reason_and_the_others_go_on(
    runtime: RayRuntime, tmp_path: Path
) -> None:
    def hangs(config: Config) -> Iterator[dict[str, float]]:
        for step, report in enumerate(climb(config)):
            if config["kind"] == "b" and step == 1:
                time.sleep(600)
            yield {**report, "seconds": 0.05}

    portfolio = [{"x": 0.9, "kind": "a"}, {"x": 0.5, "kind": "b", "extra": 0.5}, {"x": 0.8, "kind": "a"}]
    chosen = {"n_trials": 3, "policy": "none", "patience": 3.0, "portfolio": portfolio}
    result = run(runtime, hangs, tmp_path, on_failure="skip", **chosen)
    states = [trial.state for trial in result.trials]
    assert states == [TrialState.COMPLETE, TrialState.FAILED, TrialState.COMPLETE]
    assert code_of(result.trials[1]) is Code.HUNG


def slow_climb(config: Config) -> Iterator[dict[str, float]]:
    for report in climb(config):
        time.sleep(0.02)
        yield report


@pytest.mark.parametrize("policy", ["asha", "asha-watched", "hyperband", "stop-asha"])
def test_ray_study_with_the_default_sampler_replays_exactly(
    runtime: RayRuntime, tmp_path: Path, policy: str
) -> None:
    chosen = settings(policy=policy)
    run(runtime, slow_climb, tmp_path, policy=policy, sampler="auto", n_trials=20)
    events = events_of(tmp_path)
    assert sum(event.action == "start" for event in events) == 20
    assert played_again(events, chosen) == ""


@pytest.mark.parametrize("policy", ["asha", "asha-watched", "stop-asha", "median"])
def test_ray_local_and_simulated_decide_the_same_on_the_same_curves(
    runtime: RayRuntime, tmp_path: Path, policy: str
) -> None:
    curves = [{"x": (7 * n % 15) / 15, "kind": "a"} for n in range(15)]
    told = []
    for engine in ("ray", "local", "simulated"):
        folder = tmp_path / engine
        folder.mkdir()
        chosen = settings(
            engine=engine,
            policy=policy,
            portfolio=curves,
            n_trials=15,
            parallel=1,
            storage=f"sqlite:///{folder}/study.db",
        )
        search(climb, ToySpace(), chosen, engine=RayEngine(runtime) if engine == "ray" else None)
        told.append([(e.action, e.trial, e.round, e.rung, e.reason) for e in events_of(folder)])
    assert told[0] == told[1] == told[2]


class Watching(Listener):
    """Looks at the study as Optuna's dashboard would, whenever something happens."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder, self.begun, self.more = folder, set[int](), 0

    def trial(self, event: TrialEvent) -> None:
        super().trial(event)
        self.begun.add(event.trial)
        self.more = max(self.more, len(in_optuna(self.folder)) - len(self.begun))


def test_suggestion_that_was_asked_ahead_is_no_trial_yet(runtime: RayRuntime, tmp_path: Path) -> None:
    chosen = settings(engine="ray", storage=f"sqlite:///{tmp_path}/study.db", sampler="curve-gp", n_trials=14)
    watching = Watching(tmp_path)
    search(slow_climb, ToySpace(), chosen, watching, engine=RayEngine(runtime))
    assert watching.more == 0 and len(in_optuna(tmp_path)) == 14
    starts = [event.reason for event in events_of(tmp_path) if event.action == "start"]
    assert len(starts) == 14 and all(reason.notes[-1].code is Code.PREFETCHED for reason in starts)
    assert "automl-prefetch" not in {thread.name for thread in threading.enumerate()}


DRIVER = """
import sys
from functools import partial
from pathlib import Path
from automl.search import search
from tests.search.toy import Counter, ToySpace, settings
folder = Path(sys.argv[1])
search(partial(Counter, pause=0.1), ToySpace(), settings(
    engine="ray", storage=f"sqlite:///{folder}/study.db", directory=folder, n_trials=12))
"""


def test_killed_driver_leaves_no_process_nor_folder_and_the_study_goes_on(
    runtime: RayRuntime, tmp_path: Path
) -> None:
    driver = subprocess.Popen([sys.executable, "-c", DRIVER, str(tmp_path)])
    logs = tmp_path / "trials"
    until(lambda: driver.poll() is not None or len(list(logs.glob("*/log.csv"))) > 3, limit=60.0)
    assert driver.poll() is None
    driver.kill()
    driver.wait()
    folders = list(Path("/tmp").glob(f"{FOLDER}{driver.pid}-*"))
    assert len(folders) == 1
    ended = {t.number: t.values for t in in_optuna(tmp_path) if t.state.is_finished()}
    until(lambda: not folders[0].exists() and of_session(folders[0]) == [])
    result = run(runtime, Counter, tmp_path)
    trials = in_optuna(tmp_path)
    assert len(trials) == 12 and all(trial.state.is_finished() for trial in trials)
    assert {number: trials[number].values for number in ended} == ended
    for trial in result.trials:
        assert trial.value == pytest.approx(trial.config["x"] * sum(range(1, trial.rounds + 1)))
