"""A recorded study, played again."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import create_engine, select

from automl.records import Config, TrialState
from automl.search import search
from automl.search.policy import POLICIES
from automl.search.policy.significance import judged_again
from automl.search.reasons import Code, Reason
from automl.search.replay import replay
from automl.search.run import policy_of
from automl.search.settings import SearchSettings
from automl.search.storage.event_log import Event, read_events
from automl.search.storage.sql import tables
from tests.search.toy import JUDGED, Counter, Listener, ToySpace, climb, settings, value_at


def events_of(folder: Path) -> list[Event]:
    engine = create_engine(f"sqlite:///{folder}/study.db")
    with engine.connect() as connection:
        study = connection.execute(select(tables.meta.c.study_id)).scalar_one()
        found = read_events(connection, study)
    engine.dispose()
    return found


def played_again(events: Sequence[Event], chosen: SearchSettings) -> str:
    return str(replay(events, lambda known: policy_of(replace(chosen, significance=known))) or "")


def stored(folder: Path, **changes: object) -> SearchSettings:
    return settings(storage=f"sqlite:///{folder}/study.db", directory=folder, **changes)


@pytest.mark.parametrize("engine", ["local", "simulated"])
@pytest.mark.parametrize("policy", sorted(POLICIES))
@pytest.mark.parametrize("judged", [False, True])
def test_recorded_study_replays_without_a_difference(
    policy: str, engine: str, judged: bool, tmp_path: Path
) -> None:
    known = judged_again(JUDGED) if judged else None
    chosen = stored(tmp_path, engine=engine, policy=policy, parallel=3, n_trials=24, significance=known)
    result = search(climb, ToySpace(), chosen)
    events = events_of(tmp_path)
    assert played_again(events, chosen) == ""
    assert [event.trial for event in events if event.action == "start"] == list(range(24))
    assert sum(event.action in ("continue", "pause", "stop") for event in events) >= result.rounds_run


def on_some_rows(config: Config) -> Iterator[dict[str, float]]:
    """As `climb`, and every other configuration is scored on 20 rows."""
    for round, report in enumerate(climb(config), start=1):
        few = int(config["x"] * 1000) % 2
        noisy = value_at(config, round) + (0.1 if few and round % 2 else 0.0)
        yield {**report, "accuracy": noisy, **({"val_rows": 20.0} if few else {})}


@pytest.mark.parametrize("policy", ["auto", "asha", "hyperband", "stop-asha", "median"])
def test_scores_of_a_part_of_the_rows_replay_by_the_rules_of_their_time(policy: str, tmp_path: Path) -> None:
    for version in (1, 2):
        folder = tmp_path / str(version)
        folder.mkdir()
        known = judged_again(JUDGED if version == 1 else {**JUDGED, "version": 2})
        chosen = stored(folder, policy=policy, parallel=3, n_trials=40, significance=known)
        search(on_some_rows, ToySpace(), chosen)
        events = events_of(folder)
        assert {event.rows for event in events} == {0, 20}
        assert played_again(events, chosen) == ""


@pytest.mark.parametrize("policy", ["asha", "asha-watched", "stop-asha"])
def test_study_that_was_interrupted_and_continued_replays_too(policy: str, tmp_path: Path) -> None:
    class Impatient(Listener):
        def progress(self, done: float, total: float) -> None:
            if len(self.events) > 30:
                raise KeyboardInterrupt

    chosen = stored(tmp_path, policy=policy, n_trials=15, parallel=3)
    with pytest.raises(KeyboardInterrupt):
        search(Counter, ToySpace(), chosen, Impatient())
    search(Counter, ToySpace(), chosen)
    events = events_of(tmp_path)
    assert sum(event.action == "search" for event in events) == 2
    assert any(event.reason.code is Code.AFTER_INTERRUPTION for event in events)
    assert played_again(events, chosen) == ""


@pytest.mark.parametrize("policy", ["asha", "asha-watched", "hyperband", "stop-asha", "median"])
@pytest.mark.parametrize("judged", [False, True])
def test_study_that_goes_on_with_its_unfinished_trials_replays_too(
    policy: str, judged: bool, tmp_path: Path
) -> None:
    known = judged_again(JUDGED) if judged else None
    chosen = stored(
        tmp_path, policy=policy, n_trials=None, time_limit=25.0, parallel=3, significance=known, max_rounds=20
    )
    counts = [search(Counter, ToySpace(), chosen).counts for _ in range(3)]
    assert counts[0]["unfinished"] > 0
    events = events_of(tmp_path)
    notes = [[note.code for note in event.reason.notes] for event in events if event.action == "search"]
    assert [Code.REOPENED in codes for codes in notes] == [False, True, True]
    assert any(event.reason.code is Code.WAS_CUT for event in events)
    assert played_again(events, chosen) == ""


def test_deadline_and_failures_are_taken_as_they_were(tmp_path: Path) -> None:
    def fragile(config: Config) -> Iterator[dict[str, float]]:
        for step, report in enumerate(climb(config)):
            if config["x"] < 0.3 and step == 1:
                raise ValueError("too small")
            yield report

    space = ToySpace(({"x": 0.31, "kind": "a"}, {"x": 0.5, "kind": "a"}))
    chosen = stored(tmp_path, n_trials=None, time_limit=60.0, parallel=3, significance=judged_again(JUDGED))
    result = search(fragile, space, chosen)
    assert any(event.reason.code is Code.REFERENCE for event in events_of(tmp_path))
    assert {trial.state for trial in result.trials} >= {TrialState.FAILED, TrialState.PRUNED}
    assert played_again(events_of(tmp_path), chosen) == ""


@pytest.mark.parametrize("action", ["start", "resume", "continue", "pause"])
def test_changed_log_is_found_out_at_the_changed_event(action: str, tmp_path: Path) -> None:
    chosen = stored(tmp_path, policy="asha", parallel=3, n_trials=24)
    search(climb, ToySpace(), chosen)
    events = events_of(tmp_path)
    place = max(i for i, event in enumerate(events) if event.action == action and event.rung)
    changed = {
        "start": replace(events[place], rung=6),
        "resume": replace(events[place], reason=Reason(Code.PROMOTED, {"rank": 1, "trials": 99, "round": 2})),
        "continue": replace(events[place], action="pause", state="paused"),
        "pause": replace(
            events[place], reason=Reason(Code.PAUSED_AT_RUNG, {"rank": 1, "trials": 1, "round": 2})
        ),
    }
    events[place] = changed[action]
    difference = replay(events, lambda known: policy_of(replace(chosen, significance=known)))
    assert difference is not None and difference.place == place
    assert f"event {place}: recorded was" in str(difference)


def test_other_policy_than_the_recorded_one_differs(tmp_path: Path) -> None:
    chosen = stored(tmp_path, policy="asha", parallel=2, n_trials=12)
    search(climb, ToySpace(), chosen)
    assert "the policy says" in played_again(events_of(tmp_path), replace(chosen, policy="stop-asha"))


def test_log_says_why_each_trial_began_and_went_on(tmp_path: Path) -> None:
    search(climb, ToySpace(), stored(tmp_path, policy="asha", n_trials=12))
    events = events_of(tmp_path)
    assert {event.reason for event in events if event.action == "start"} == {Reason(Code.WORKER_FREE)}
    resumed = [event for event in events if event.action == "resume"]
    assert resumed and all("rank" in event.reason.data for event in resumed)
    assert [event.time for event in events] == sorted(event.time for event in events)
