"""Trials, notes and artifacts as the dashboard's pages get them, and the database as it was."""

from __future__ import annotations

import hashlib
import xml.etree.ElementTree
from datetime import UTC, datetime
from pathlib import Path

import optuna
import pytest
from optuna.artifacts.exceptions import ArtifactNotFound
from optuna.trial import FrozenTrial, TrialState

from automl.final.evaluation.record import Evaluation
from automl.records import TrialState as State
from automl.review.dashboard.artifacts import GeneratedArtifacts
from automl.review.dashboard.storage import DashboardStorage
from automl.review.dashboard.validation import errors_csv
from automl.review.incumbents.answers import TrialAnswers
from automl.review.report.answers import Answer
from automl.review.studies import read_study
from automl.search.policy import Action, Decision
from automl.search.reasons import Code, Reason
from automl.search.storage.store import Store, Worker
from tests.review.dashboard.conftest import closed, opened
from tests.review.incumbents.studies import scores_of, write_index, write_trial
from tests.review.studies_on_disk import running_study
from tests.search.storage.sql.test_study_counts import add_study

notes = pytest.importorskip("optuna_dashboard._note", reason="optuna-dashboard is not installed")
artifacts = pytest.importorskip("optuna_dashboard.artifact._backend")


def trials_of(view: DashboardStorage) -> list[FrozenTrial]:
    return view.get_all_trials(1, deepcopy=False)


def note_of(view: DashboardStorage, trial: int | None = None) -> str:
    body: str = notes.get_note_from_system_attrs(view.get_study_system_attrs(1), trial)["body"]
    return body


def test_paused_trial_has_its_curve_its_value_and_an_end(view: DashboardStorage) -> None:
    paused = trials_of(view)[3]
    assert (paused.state, paused.value, paused.intermediate_values) == (TrialState.PRUNED, 0.6, {1: 0.6})
    assert paused.datetime_start is not None and paused.datetime_complete is not None
    assert paused.datetime_start <= paused.datetime_complete


def test_attributes_say_the_state_and_why(view: DashboardStorage) -> None:
    states = [trial.user_attrs["state"] for trial in trials_of(view)]
    assert states == ["complete", "pruned", "failed", "paused", "running"]
    assert trials_of(view)[2].user_attrs["why"] == "RuntimeError: no"
    assert trials_of(view)[0].user_attrs["training seconds"] == 3.0
    assert not {"paused", "reason", "cause"} & {key for trial in trials_of(view) for key in trial.user_attrs}


def test_parameters_have_readable_names(view: DashboardStorage) -> None:
    for trial in trials_of(view):
        assert set(trial.params) == set(trial.distributions) == {"model (resnet)", "learning rate (adamw)"}


def test_other_states_are_those_of_optuna(view: DashboardStorage) -> None:
    states = [trial.state for trial in trials_of(view)]
    assert states[:3] == [TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL]
    assert states[4] is TrialState.RUNNING
    complete = view.get_all_trials(1, deepcopy=False, states=(TrialState.COMPLETE,))
    assert [trial.number for trial in complete] == [0]


def test_note_of_a_running_study_tells_its_progress(view: DashboardStorage, running: Path) -> None:
    note = note_of(view)
    assert note.startswith("# leaves: unfinished")
    assert "val f1 0.7000, from trial 0 (from scratch) after 2 rounds" in note
    assert "1 running, 1 paused, 1 complete, 1 pruned, 1 failed" in note
    assert "80 train, 20 validation, 25 holdout images" in note
    assert "1m for the search, up to 9 epochs a trial" in note
    assert f"automl resume leaves --directory {running.parent}" in note
    assert "automl predict" not in note


def test_note_of_a_finished_study_has_the_holdout_and_links(finished_view: DashboardStorage) -> None:
    note = note_of(finished_view)
    assert note.startswith("# leaves: finished")
    assert "0.9200 (0.7484 to 0.9777), 95 % interval" in note
    assert "automl predict leaves IMAGES" in note and "automl export leaves --to onnx" in note
    report = next(each for each in listed(finished_view, None) if each["filename"] == "report.html")
    assert f"[Open the report](/artifacts/1/{report['artifact_id']})" in note


def test_study_has_its_facts_as_attributes(view: DashboardStorage, finished_view: DashboardStorage) -> None:
    for each in (view, finished_view):
        (study,) = each.get_all_studies()
        assert study.user_attrs and all(study.user_attrs.values())
        assert all(str(text) in note_of(each).replace("\\", "") for text in study.user_attrs.values())
    assert any(name.startswith("holdout ") for name in study.user_attrs)


def test_best_trial_has_a_note_and_artifacts(view: DashboardStorage) -> None:
    best, other = trials_of(view)[0], trials_of(view)[1]
    assert "The best trial of the leaderboard" in note_of(view, best._trial_id)
    assert note_of(view, other._trial_id) == ""
    assert [each["filename"] for each in listed(view, best)] == ["curves.svg"]
    assert listed(view, other) == []


def test_delivered_trial_has_confusion_and_errors(finished_view: DashboardStorage) -> None:
    delivered = listed(finished_view, trials_of(finished_view)[0])
    by_name = {each["filename"]: each["artifact_id"] for each in delivered}
    store = GeneratedArtifacts(finished_view.artifact)
    errors = store.open_reader(by_name["errors on the holdout.csv"]).read().decode()
    assert errors.splitlines() == ["file,label,predicted,confidence", "3.png,b,a,0.9", "1.png,a,b,0.6"]
    for name in ("confusion on the holdout.svg", "curves.svg"):
        drawn = xml.etree.ElementTree.fromstring(store.open_reader(by_name[name]).read())
        assert drawn.tag.endswith("svg") and len(list(drawn.iter())) > 10
    assert b"Confusion matrix" in store.open_reader(by_name["evaluation on the holdout.html"]).read()
    with pytest.raises(ArtifactNotFound, match="no artifact"):
        store.open_reader("00000000-0000-0000-0000-000000000000")


def listed(view: DashboardStorage, trial: FrozenTrial | None) -> list[dict[str, str]]:
    attributes = view.get_study_system_attrs(1)
    found: list[dict[str, str]] = (
        artifacts.list_study_artifacts(attributes)
        if trial is None
        else artifacts.list_trial_artifacts(attributes, {}, trial)
    )
    return found


def test_reading_changes_nothing(running: Path) -> None:
    before = hashlib.sha256((running / "study.db").read_bytes()).hexdigest()
    storage = opened(running)
    storage.get_all_studies()
    storage.get_all_trials(1)
    closed(storage)
    assert hashlib.sha256((running / "study.db").read_bytes()).hexdigest() == before


def test_note_that_a_person_wrote_stands_in_place_of_ours(tmp_path: Path) -> None:
    root = running_study(tmp_path)
    storage = opened(root)
    notes.save_note(optuna.load_study(study_name="leaves", storage=storage), "mine")
    assert note_of(storage) == "mine"
    assert "best trial" in note_of(storage, trials_of(storage)[0]._trial_id)
    closed(storage)


def test_resumed_trial_began_when_it_first_ran(tmp_path: Path) -> None:
    root = running_study(tmp_path)
    store = Store.open(
        f"sqlite:///{root / 'study.db'}",
        "leaves",
        fingerprint={"metric": "f1", "mode": "max"},
        make_sampler=lambda _: optuna.samplers.RandomSampler(seed=0),
    )
    paused = datetime.now(UTC)
    store.started(3, Worker("w1", "node", 1), time=9.0)
    store.decided(3, 1, _end(), time=10.0)
    store.end(3, _end(), time=10.0, value=0.6)
    store.close()
    storage = opened(root)
    trial = trials_of(storage)[3]
    closed(storage)
    assert trial.datetime_start is not None and trial.datetime_complete is not None
    assert trial.datetime_start < paused < trial.datetime_complete


def _end() -> Decision:
    return Decision(Action.STOP, State.PRUNED, Reason(Code.NEVER_PROMOTED))


def test_study_of_others_is_shown_as_it_is(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'other.db'}"
    study = optuna.create_study(study_name="other", storage=url)
    study.add_trial(
        optuna.trial.create_trial(
            params={"weight_decay": 0.1},
            distributions={"weight_decay": optuna.distributions.FloatDistribution(0, 1)},
            value=1.0,
        )
    )
    (tmp_path / "study.db").symlink_to(tmp_path / "other.db")
    storage = opened(tmp_path)
    storage.find_folder = lambda _: None
    assert [trial.params for trial in trials_of(storage)] == [{"weight_decay": 0.1}]
    assert note_of(storage) == ""
    closed(storage)


def test_trial_that_was_the_best_shows_what_it_answers_wrong_while_the_study_runs(tmp_path: Path) -> None:
    root = running_study(tmp_path)
    write_index(root)
    path = write_trial(root, 0, scores_of())
    write_trial(root, 3, scores_of())  # it never was the best
    storage = opened(root)
    try:
        best, paused = trials_of(storage)[0], trials_of(storage)[3]
        by_name = {each["filename"]: each["artifact_id"] for each in listed(storage, best)}
        assert list(by_name) == ["curves.svg", "confusion on validation.svg", "errors on validation.csv"]
        assert listed(storage, paused) == []
        store = GeneratedArtifacts(storage.artifact)
        errors = store.open_reader(by_name["errors on validation.csv"]).read().decode()
        assert errors.splitlines() == [
            "file,label,predicted,confidence",
            "4.png,birch,ash,0.9",
            "9.png,oak,birch,0.5",
        ]
        drawn = store.open_reader(by_name["confusion on validation.svg"]).read().decode()
        assert "4 validation images after round 2, f1 0.7000" in drawn
        assert xml.etree.ElementTree.fromstring(drawn).tag.endswith("svg")
        path.unlink()
        with pytest.raises(ArtifactNotFound, match="trial 0 are not there any more"):
            store.open_reader(by_name["errors on validation.csv"])
    finally:
        closed(storage)


@pytest.mark.parametrize("content", [b"damaged", None])
def test_scores_that_cannot_be_read_hide_no_other_artifact(tmp_path: Path, content: bytes | None) -> None:
    root = running_study(tmp_path)
    path = write_trial(root, 0, scores_of(round=2 if content else 9))  # one that was not taken in
    if content is not None:
        path.write_bytes(content)
    storage = opened(root)
    try:
        assert [each["filename"] for each in listed(storage, trials_of(storage)[0])] == ["curves.svg"]
    finally:
        closed(storage)


def test_errors_of_values_are_the_largest_first() -> None:
    answers = (
        Answer("a.png", "1", "2", values=((1.0, 2.0),)),
        Answer("b.png", "1", "9", values=((1.0, 9.0),)),
    )
    evaluation = Evaluation("regression", "rmse", 2, ("height",), {})
    written = errors_csv(TrialAnswers(0, 1, 0.5, evaluation, answers)).decode()
    assert written.splitlines() == ["file,label,predicted", "b.png,1,9", "a.png,1,2"]


def test_list_of_many_studies_reads_the_trials_of_those_that_are_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = running_study(tmp_path)
    url = f"sqlite:///{root / 'study.db'}"
    for name in ("low", "high"):
        add_study(url, name, "min" if name == "low" else "max", [[3.0, 2.0], [4.0]])
    storage = opened(root)
    storage.find_folder = lambda name: read_study(root) if name == "leaves" else None
    read: list[int] = []
    really = storage._read_now

    def reads(study_id: int, now: float) -> object:
        read.append(study_id)
        return really(study_id, now)

    monkeypatch.setattr(storage, "_read_now", reads)
    try:
        listed_now = {study.study_name: study.user_attrs for study in storage.get_all_studies()}
        assert read == []
        assert listed_now["low"]["best so far"] == "val loss 2.0000"
        assert listed_now["high"]["trials"] == "2 trials: 2 running; and 1 linear head"
        assert listed_now["leaves"]["trials"].startswith("5 trials: 1 running, 1 paused")
        known = storage.get_study_id_from_name("low")
        assert storage.snapshot(known) is not None and read == [known]
        (low,) = [study for study in storage.get_all_studies() if study.study_name == "low"]
        assert any(key.startswith("dashboard:") for key in low.system_attrs), "it has its note"
        assert set(read) == {known}
    finally:
        closed(storage)
