"""Trial folders: `trials/t0007/` with `log.csv` and, while they are needed, `checkpoint` and validation scores."""

from __future__ import annotations

import csv
import errno
import json
import shutil
from pathlib import Path

from automl.documents.json_file import read_json
from automl.records import Report
from automl.training.validation.scores_file import SCORES_FILE

CHECKPOINT = "checkpoint"
ROUND_FILE = "automl_round.json"
FORMER_COLUMNS = {"epoch": "round", "passes": "epochs"}
_FULL = ("No space left", "os error 28", "database or disk is full")  # in what the writers of files say


class TrialFiles:
    """The trial folders of a study. Their names are short: parameters in them would break path limits."""

    def __init__(
        self, directory: Path, *, logs: bool, limit: int | None = None, output: bool = False
    ) -> None:
        """`logs`: write `log.csv`. `limit`: bytes that all checkpoints may take together.

        `output`: keep what trials print, beside their logs.
        """
        self._trials = directory / "trials"
        self._logs, self._output = logs, logs and output
        self._columns: dict[int, list[str]] = {}
        self._limit = limit
        self._sizes: dict[int, int] = {}

    def folder(self, trial: int) -> Path:
        """Return the folder of the trial, which need not exist."""
        return self._trials / f"t{trial:04d}"

    def checkpoint(self, trial: int) -> Path:
        """Return the folder of the trial's state, which need not exist."""
        return self.folder(trial) / CHECKPOINT

    def output(self, trial: int) -> Path | None:
        """Return the file for what the trial prints, None if that is not kept."""
        return self.folder(trial) / "output.log" if self._output else None

    def log(self, report: Report) -> bool:
        """Append a round to `log.csv`, with the first round's metrics as columns. Return False if the disk is full."""
        try:
            if self._logs:
                self._append(report)
        except OSError as error:
            if not is_disk_full(error):
                raise
            return False
        return True

    def _append(self, report: Report) -> None:
        path = self.folder(report.trial) / "log.csv"
        columns = self._columns.get(report.trial)
        if columns is None:
            columns = self._open_log(path, report)
            self._columns[report.trial] = columns
        with path.open("a", newline="", encoding="utf-8") as file:
            row = {**report.metrics, "round": report.round, "seconds": f"{report.seconds:.3f}"}
            csv.DictWriter(file, columns, extrasaction="ignore").writerow(row)

    def saved_round(self, trial: int) -> int:
        """Return the round of the trial's state, 0 if it has none or it is damaged."""
        return checkpoint_round(self.checkpoint(trial))

    def drop_checkpoint(self, trial: int) -> None:
        """Remove the trial's state."""
        self._sizes.pop(trial, None)
        shutil.rmtree(self.checkpoint(trial), ignore_errors=True)
        self.accept(trial)

    def drop_scores(self, trial: int) -> None:
        """Remove the scores of the trial's best round."""
        (self.folder(trial) / SCORES_FILE).unlink(missing_ok=True)

    def accept(self, trial: int) -> None:
        """Remove the state before the last one: the round of the last one has been taken in."""
        shutil.rmtree(before(self.checkpoint(trial)), ignore_errors=True)

    def go_back(self, trial: int, round: int) -> None:
        """Let the trial's state be the one of `round`, its last report, if a later round was saved but not taken in.

        So the state always belongs to a score. Without an older state nothing changes.
        """
        place = self.checkpoint(trial)
        old = before(place)
        if not old.exists():
            return
        if 0 < checkpoint_round(old) <= round and not 0 < checkpoint_round(place) <= round:
            shutil.rmtree(place, ignore_errors=True)
            old.rename(place)
        self.accept(trial)

    def crowded(self, trial: int) -> bool:
        """Return whether all checkpoints exceed the limit, after that of `trial` was written."""
        if self._limit is None:
            return False
        if not self._sizes:  # with those of an earlier run
            folders = [int(path.parent.name[1:]) for path in self._trials.glob(f"t*/{CHECKPOINT}")]
            self._sizes = {number: self._size(number) for number in folders}
        self._sizes[trial] = self._size(trial)
        return sum(self._sizes.values()) > self._limit

    def _size(self, trial: int) -> int:
        return sum(path.stat().st_size for path in self.checkpoint(trial).rglob("*") if path.is_file())

    def _open_log(self, path: Path, report: Report) -> list[str]:
        """Make the log, or cut off the rounds that are about to run again. Return its columns."""
        path.parent.mkdir(parents=True, exist_ok=True)
        columns, rows = ["round", *report.metrics, "seconds"], []
        if path.exists():
            with path.open(newline="", encoding="utf-8") as file:
                old = [FORMER_COLUMNS.get(name, name) for name in next(csv.reader(file), columns)]
                # A log of an earlier version had rounds as `epoch` and epochs as `passes`.
                columns = old if "round" in old else columns
                rows = [row for row in csv.DictReader(file, columns) if int(row["round"]) < report.round]
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, columns, extrasaction="ignore")
            writer.writeheader()
            writer.writerows(rows)
        return columns


def publish_checkpoint(new: Path, place: Path, round: int) -> None:
    """Replace the old folder by a new one, with a note of its round. The old one stays beside it, at `before(place)`.

    A crash leaves the old state, the new one, or both, but never a part of one.
    """
    (new / ROUND_FILE).write_text(json.dumps({"round": round}), encoding="utf-8")
    old = before(place)
    if (
        checkpoint_round(place) == round and old.exists()
    ):  # saved twice: the older one is still of another round
        shutil.rmtree(place)
    elif place.exists():
        shutil.rmtree(old, ignore_errors=True)
        place.rename(old)
    new.rename(place)


def before(place: Path) -> Path:
    """Return where the state before the one at `place` is kept until the round of that has been taken in."""
    return place.with_name(f".{place.name}-old")


def checkpoint_round(place: Path) -> int:
    """Return the round of the state in the folder, 0 if there is none or its note is damaged."""
    path = place / ROUND_FILE
    try:
        return int(read_json(path)["round"])
    except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError):
        return 0


def is_disk_full(error: BaseException | None) -> bool:
    """Return whether the error, or its cause, is a full disk or an exceeded quota.

    Some writers of weights, and SQLite, raise other errors with such a text.
    """
    while error is not None:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            return True
        if any(words in str(error) for words in _FULL):
            return True
        error = error.__cause__ or error.__context__
    return False
