"""At each event Optuna's storage is as the dashboard should see it: for every policy and sampler."""

import importlib.util
from pathlib import Path

import pytest
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial
from optuna.trial import TrialState as OptunaState

from automl.records import TrialEvent, TrialState
from automl.search import search
from automl.search.policy import POLICIES
from automl.search.policy.significance import judged_again
from automl.search.sampling.registry import SAMPLERS
from automl.search.storage.sql import write_journal as journal
from tests.search.sampling.test_registry import NEEDS
from tests.search.toy import JUDGED, Listener, ToySpace, climb, settings

SHOWN = {
    TrialState.RUNNING: OptunaState.RUNNING,
    TrialState.PAUSED: OptunaState.WAITING,
    TrialState.COMPLETE: OptunaState.COMPLETE,
    TrialState.PRUNED: OptunaState.PRUNED,
    TrialState.UNFINISHED: OptunaState.PRUNED,
    TrialState.FAILED: OptunaState.FAIL,
}


class Dashboard(Listener):
    """Reads the study through Optuna at every event, and compares it with all that was told so far."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.url = url
        self.storage: RDBStorage | None = None
        self.told: dict[int, TrialEvent] = {}
        self.curves: dict[int, dict[int, float]] = {}

    def trial(self, event: TrialEvent) -> None:
        super().trial(event)
        self.told[event.trial] = event
        curve = self.curves.setdefault(event.trial, {})
        if event.round and event.value is not None:
            curve[event.round] = event.value
        self.storage = self.storage or RDBStorage(self.url)
        shown = self.storage.get_all_trials(
            self.storage.get_study_id_from_name(self.storage.get_all_studies()[0].study_name)
        )
        assert [trial.number for trial in shown] == sorted(self.told)
        for trial in shown:
            self.compare(trial, self.told[trial.number])

    def compare(self, trial: FrozenTrial, event: TrialEvent) -> None:
        assert trial.state is SHOWN[event.state]
        assert trial.intermediate_values == self.curves[trial.number]
        assert bool(trial.user_attrs.get("paused")) is (event.state is TrialState.PAUSED)
        if event.state is TrialState.COMPLETE:
            assert trial.value == event.value and trial.datetime_complete is not None
        elif event.state in (TrialState.PRUNED, TrialState.UNFINISHED):
            assert ("unfinished" in trial.user_attrs) is (event.state is TrialState.UNFINISHED)
            assert trial.user_attrs["reason"] == event.reason and trial.value == event.value
        else:
            assert trial.value is None and trial.datetime_complete is None


def watched(folder: Path, **changes: object) -> Dashboard:
    url = f"sqlite:///{folder}/study.db"
    dashboard = Dashboard(url)
    search(climb, ToySpace(), settings(storage=url, **changes), dashboard)
    assert dashboard.storage is not None
    dashboard.storage.engine.dispose()
    return dashboard


@pytest.fixture(autouse=True)
def written_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """News are written when they come, and not up to 50 ms later."""
    monkeypatch.setattr(journal, "MOMENT_S", 0.0)


@pytest.mark.parametrize("policy", sorted(POLICIES))
def test_dashboard_shows_each_change_under_every_policy(policy: str, tmp_path: Path) -> None:
    dashboard = watched(tmp_path, policy=policy, n_trials=9, max_rounds=6)
    states = {event.state for event in dashboard.events}
    assert (TrialState.PAUSED in states) is (policy in ("asha", "asha-watched", "auto", "hyperband"))


@pytest.mark.parametrize("policy", sorted(POLICIES))
def test_dashboard_tells_unfinished_trials_from_pruned_ones_under_every_policy(
    policy: str, tmp_path: Path
) -> None:
    known = judged_again(JUDGED)
    dashboard = watched(
        tmp_path, policy=policy, n_trials=None, time_limit=40.0, max_rounds=6, significance=known
    )
    last = {event.trial: event for event in dashboard.events}
    assert TrialState.UNFINISHED in {event.state for event in last.values()}
    for event in last.values():
        if event.state is TrialState.PRUNED:
            assert event.value is not None and known.moved(event.value) and "rank" in event.reason
        elif event.state is TrialState.UNFINISHED:
            assert event.reason == "time is up"


@pytest.mark.parametrize("sampler", sorted(set(SAMPLERS) - {"auto"}))
def test_dashboard_shows_each_change_with_every_sampler(sampler: str, tmp_path: Path) -> None:
    if (package := NEEDS.get(sampler)) and importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed")
    dashboard = watched(tmp_path, sampler=sampler, n_trials=12, max_rounds=3)
    assert len(dashboard.told) == 12
