"""Another trial of a finished study becomes its model."""

from __future__ import annotations

import html
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import automl
from automl import pipeline
from automl.cli import main
from automl.data.holdout import Holdout
from automl.errors import ConfigError, DataError, StudyError
from automl.final.evidence.words import made
from automl.final.predictor import Predictor
from automl.pipeline.deliver.draft import DRAFT, REPLACED
from automl.pipeline.deliver.former import was_chosen
from automl.records import Rows, Silent
from automl.result import FitResult
from automl.review.describe import score
from automl.review.front.kept import Where, kept_weights
from automl.review.studies import find_study
from automl.review.trials import study_trials
from tests.pipeline.test_fit import config_for

pytestmark = pytest.mark.study
SEEDS = 4  # studies that are made, at most, until one has what the tests need: a single network may beat all others


def stripes(n: int = 240) -> tuple[np.ndarray, np.ndarray]:
    """Images of stripes of any phase, upright or lying: a network tells them apart, a linear model does not."""
    rng = np.random.default_rng(0)
    labels = np.arange(n) % 2
    waves = np.sin(np.arange(24)[None] * rng.uniform(0.8, 1.6, (n, 1)) + rng.uniform(0, 6.3, (n, 1)))
    flat = np.repeat(waves[:, :, None], 24, axis=2)
    images = np.where(labels[:, None, None] == 1, flat, flat.transpose(0, 2, 1))
    return (127.0 + 100.0 * images + rng.normal(0, 10, images.shape)).clip(0, 255).astype(np.uint8), labels


def write_stripes(folder: Path) -> None:
    for number, (image, label) in enumerate(zip(*stripes(), strict=True)):
        place = folder / ("lying", "upright")[label]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(place / f"{number:03d}.png")


class Notes(Silent):
    """Keeps the notes of a command."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> FitResult:
    """A study with a head on pixels, and with another training on its front than its model."""
    wanted = {Where.MODEL, Where.CHECKPOINT, Where.HEAD}
    for seed in range(SEEDS):
        directory = tmp_path_factory.mktemp("studies")
        write_stripes(directory / "lines")
        options = {"data": str(directory / "lines"), "time_limit": 300, "n_trials": 4, "epochs": 4}
        result = pipeline.fit(config_for(directory, **options, seed=seed))
        if set(kept_of(result.directory).values()) >= wanted:
            return result
    pytest.fail(f"in none of {SEEDS} studies is a training on the front beside that of the model")


@pytest.fixture
def study(finished: FitResult, tmp_path: Path) -> Path:
    """A copy of the study, to change."""
    shutil.copytree(finished.directory, tmp_path / "tiny")
    (tmp_path / "lines").symlink_to(finished.directory.parent / "lines")
    return tmp_path / "tiny"


def deliver(study: Path, **wish: Any) -> FitResult:
    return automl.deliver("tiny", directory=study.parent, **wish)


def kept_of(study: Path) -> dict[int, Where]:
    found = find_study("tiny", study.parent)
    return {trial: kept.where for trial, kept in kept_weights(found, study_trials(found)[2]).items()}


def read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def other_training(study: Path) -> int:
    """A training that is not the model, and has weights."""
    return next(trial for trial, where in kept_of(study).items() if where is Where.CHECKPOINT)


def test_weights_of_the_front_and_of_the_head_are_kept(finished: FitResult) -> None:
    kept = kept_of(finished.directory)
    board = finished.leaderboard().set_index("trial")
    assert set(kept.values()) >= {Where.MODEL, Where.CHECKPOINT, Where.HEAD}
    trained = board[~board["kind"].str.startswith("head")]
    better = [
        trial
        for trial, row in trained.iterrows()
        if not (
            (trained["val_accuracy"] >= row["val_accuracy"])
            & (trained["params"] <= row["params"])
            & (trained["macs"] <= row["macs"])
            & ((trained["val_accuracy"] > row["val_accuracy"]) | (trained["macs"] < row["macs"]))
        ).any()
    ]
    assert set(better) <= set(kept)


def test_another_training_becomes_the_model_and_the_former_one_again(
    study: Path, finished: FitResult
) -> None:
    before, chosen = finished.to_json(), other_training(study)
    images = stripes()[0][:20]
    old = Predictor.load(study / "model").predict_proba(images)
    result = deliver(study, trial=chosen)
    document = read(study / "result.json")
    assert document == json.loads(json.dumps(result.to_json()))
    assert document["holdout_reads"] == 2 and document["best"] == before["best"]
    retrain = document["retrain"]
    assert (retrain["how"], retrain["trial"], retrain["n_train"]) == ("own weights", chosen, 154)
    assert retrain["why"] == f"chosen with `automl deliver --trial {chosen}`"
    board = result.leaderboard().set_index("trial")
    assert board.loc[chosen, "delivered"] == "own weights" and board["delivered"].notna().sum() == 1
    assert "read 2 times" in document["gap"]["explained"]
    card = (study / "model" / "README.md").read_text(encoding="utf-8")
    assert f"Trial {chosen}'s own weights" in card and "read 2 times" in card
    value = score(document["holdout"]["accuracy"]["value"])
    page = html.unescape((study / "report.html").read_text(encoding="utf-8"))
    assert value in document["verdict"][0] and value in page
    assert made(document) in page and made(before) not in page
    assert set(Path(study / "model").iterdir()) >= {study / "model" / "confidence.json"}
    new = result.predictor.predict_proba(images)
    assert new.shape == old.shape and not np.allclose(new, old)
    assert not (study / DRAFT).exists() and not (study / REPLACED).exists()
    # its trial makes the former model the model again, without another look at the holdout
    former = before["retrain"].get("trial", before["best"]["trial"])
    again = deliver(study, trial=former).to_json()
    assert again["holdout"] == before["holdout"] and again["holdout_reads"] == 2
    assert "read 2 times" in again["gap"]["explained"]
    assert np.array_equal(Predictor.load(study / "model").predict_proba(images), old)
    assert kept_of(study)[chosen] is Where.BEFORE and read(study / "holdout.json") == {"reads": 2}


def test_delivered_weights_have_the_score_of_their_trial(study: Path) -> None:
    chosen = other_training(study)
    result = deliver(study, trial=chosen)
    splits = pd.read_csv(study / "splits.csv")
    val = splits[splits["split"] == "val"]
    answers = result.predictor.predict([study.parent / "lines" / file for file in val["file"]])
    score = np.mean([answer == label for answer, label in zip(answers, val["label"], strict=True)])
    board = result.leaderboard().set_index("trial")
    assert score == pytest.approx(
        board.loc[chosen, "val_accuracy"], abs=0.06
    )  # with mirror images or without


def test_a_head_becomes_the_model(study: Path) -> None:
    chosen = next(trial for trial, where in kept_of(study).items() if where is Where.HEAD)
    result = deliver(study, trial=chosen)
    retrain = result.to_json()["retrain"]
    assert retrain["how"] == "linear head" and retrain["n_train"] == 192  # fitted on validation rows as well
    assert 0.2 < result.holdout["accuracy"].value < 0.8
    assert len(result.predictor.predict(stripes()[0][:3])) == 3


def test_best_within_limits_is_chosen_by_validation_alone(
    study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is chosen and made, the holdout stays closed until the model is scored."""
    before = {path: path.read_bytes() for path in sorted(study.rglob("*")) if path.is_file()}

    def sealed(*_: object, **__: object) -> Rows:
        raise RuntimeError("the holdout was opened")

    monkeypatch.setattr(Holdout, "open", sealed)
    board = automl_board(study)
    small = int(board["params"].min())
    with pytest.raises(RuntimeError, match="the holdout was opened"):
        deliver(study, max_params=small)
    after = {path: path.read_bytes() for path in before}
    changed = [path.name for path in before if before[path] != after[path]]
    assert set(changed) <= {"holdout.json", "result.json", "README.md"}  # which tell that it was read
    assert read(study / "result.json")["holdout_reads"] == read(study / "holdout.json")["reads"]
    monkeypatch.undo()
    notes = Notes()
    result = automl.deliver("tiny", directory=study.parent, max_params=small, observer=notes)
    assert result.to_json()["retrain"]["trial"] == int(board["params"].idxmin())


def automl_board(study: Path) -> Any:
    return FitResult(study, read(study / "result.json")).leaderboard().set_index("trial")


def test_what_cannot_be_delivered_is_refused_and_changes_nothing(study: Path) -> None:
    for path in (study / "trials").glob("*/checkpoint"):
        shutil.rmtree(path)
    before = (study / "result.json").read_bytes()
    gone = next(t for t in automl_board(study).index if t not in kept_of(study))
    with pytest.raises(StudyError, match=rf"trial {gone} has no weights any more; these have weights: \d"):
        deliver(study, trial=gone)
    with pytest.raises(StudyError, match="has the trials 0 to 4, got --trial 99"):
        deliver(study, trial=99)
    with pytest.raises(
        ConfigError, match=r"keeps --max-size 10: the nearest is trial \d with .* of 10; raise"
    ):
        deliver(study, max_size=10)
    with pytest.raises(ConfigError, match="give either --trial N, --former NAME or limits"):
        deliver(study)
    with pytest.raises(
        StudyError, match="must be those of the study .tiny., but .arrays. holds others: --data"
    ):
        automl.deliver("tiny", trial=other_head(study), directory=study.parent, data=stripes())
    assert (study / "result.json").read_bytes() == before


def other_head(study: Path) -> int:
    return next(trial for trial, where in kept_of(study).items() if where is Where.HEAD)


def test_model_that_a_killed_run_had_moved_away_comes_back(study: Path) -> None:
    (study / "model").rename(study / REPLACED)
    (study / DRAFT).mkdir()
    result = deliver(study, trial=other_head(study))
    assert (study / "model" / "config.json").is_file() and not (study / REPLACED).exists()
    assert result.to_json()["retrain"]["how"] == "linear head"


def test_command_says_what_there_is_and_what_it_did(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = ("--directory", str(study.parent))
    model = next(trial for trial, where in kept_of(study).items() if where is Where.MODEL)
    assert main(["deliver", "tiny", *place, "--trial", str(model)]) == 0
    assert f"Trial {model} is the model of the study already." in capsys.readouterr().out
    assert main(["deliver", "tiny", *place, "--max-size", "1M", "--json", "--quiet"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (
        document["retrain"]["why"] == "chosen with `automl deliver --max-size 1M`"
        or document["retrain"]["trial"] == model
    )
    assert main(["show", "tiny", *place]) == 0
    assert "holdout accuracy" in capsys.readouterr().out
    assert main(["deliver", "tiny", *place]) == 2
    assert "--max-latency" in capsys.readouterr().err
    assert main(["deliver", "tiny", *place, "--max-latency", "soon"]) == 2
    assert "--max-latency must be a latency above zero" in capsys.readouterr().err

    former = next((study / "models").iterdir()).name
    before = read(study / "result.json")["holdout_reads"]
    assert main(["deliver", "tiny", *place, "--former", former, "--json", "--quiet"]) == 0
    again = json.loads(capsys.readouterr().out)
    assert again["holdout_reads"] == before and again["retrain"].get("trial", again["best"]["trial"]) == model
    assert main(["deliver", "tiny", *place, "--former", former]) == 0
    assert f"The former model '{former}' is the model of the study already." in capsys.readouterr().out
    assert main(["deliver", "tiny", *place, "--former", "t99"]) == 2
    assert "unknown former model 't99'" in capsys.readouterr().err


def test_copy_of_a_study_beside_it_is_not_taken_for_the_study(
    study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(study, study.with_name("copy"))
    before = (study / "result.json").read_bytes()
    with pytest.raises(StudyError, match="is a copy of the study 'tiny', or was renamed"):
        automl.deliver("copy", directory=study.parent, trial=other_training(study))
    assert main(["resume", "copy", "--directory", str(study.parent), "--n-trials", "9"]) == 2
    assert "is a copy of the study 'tiny'" in capsys.readouterr().err
    assert (study / "result.json").read_bytes() == before
    assert main(["show", "copy", "--directory", str(study.parent)]) == 0  # reading is safe


def test_moved_data_are_asked_for(study: Path) -> None:
    (study.parent / "lines").unlink()
    text = (study / "study.yaml").read_text(encoding="utf-8")
    place = next(line for line in text.splitlines() if line.startswith("data:")).partition(": ")[2]
    (study / "study.yaml").write_text(text.replace(place, str(study.parent / "gone")), encoding="utf-8")
    with pytest.raises(DataError, match="if the data have moved, --data .* names their place"):
        deliver(study, trial=other_training(study))


def test_model_that_was_chosen_is_told_from_one_that_the_study_made(study: Path) -> None:
    assert not was_chosen(None) and not was_chosen(read(study / "result.json"))
    deliver(study, trial=other_training(study))
    assert was_chosen(read(study / "result.json"))
