"""The folder of a study: its files, its lock, and whether a study in it can be resumed."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from glob import escape
from pathlib import Path
from typing import IO, Any

from automl.config import StudyConfig
from automl.config.loading import read_study_file
from automl.documents.json_file import read_json
from automl.errors import StorageError, StudyError
from automl.remote import Mirror, is_remote
from automl.review.studies import HOLDOUT_FILE, LOCK, REPLACED
from automl.terminal.printable import json_safe

_WAITS = (0.02, 0.05)  # seconds: `StudyFolder.running` has the lock for a moment when it looks
DATA_REPORT = "data_report.json"

# What must stay the same to resume a study, because trials would not be comparable otherwise.
IDENTITY = (
    "data",
    "task",
    "metric",
    "balance",
    "space",
    "pretrained",
    "weights_licence",
    "seed",
    "img_size",
    "resize",
    "val",
    "n_train",
    "n_val",
    "n_holdout",
    "split",
)
# The options by which a person changes what is listed above.
_READING = ("data", "target", "task", "image_column", "group_column", "on_bad_image")
_SPLITTING = (*_READING, "holdout", "val", "on_group_leak", "seed")
_OPTIONS = {
    "data": _READING,
    "task": _READING,
    "metric": ("metric", "task", "target"),
    "balance": ("balance", "metric"),
    **dict.fromkeys(("n_train", "n_val", "n_holdout", "split", "val"), _SPLITTING),
}
# What a resumed study takes from its plan.json, whatever is asked now.
_KEPT = ("epochs", "precision")


class FolderLock:
    """Locks a study's folder for this process; the system releases the lock when the process ends.

    On file systems without locks, and on other systems than Unix, it has no effect.
    """

    def __init__(self, root: Path) -> None:
        """Raises StudyError if another process runs the study. The folder must exist."""
        self._file: IO[str] | None = (root / LOCK).open("a+", encoding="utf-8")
        if _locked_by_another(self._file):
            self._file.seek(0)
            owner = self._file.read().strip() or "another process"
            self._file.close()
            raise StudyError(
                f"the study {root.name!r} must be run by one process at a time, but {owner} is running it: "
                "wait for its end, or stop it"
            )
        self._file.truncate(0)
        self._file.write(f"process {os.getpid()}")
        self._file.flush()

    def release(self) -> None:
        """Release the lock. The file stays, to recognise a study that never started."""
        if self._file is not None:
            self._file.close()
            self._file = None


@dataclass(frozen=True)
class Workspace:
    """Paths of one study.

    `existed`: the folder existed before. `replaced`: where an earlier study is kept until this one, which overwrites
    it, has started. `locks` keep other processes out until `close`. `mirror` copies the folder to the address that
    --directory names.
    """

    root: Path
    existed: bool
    replaced: Path | None = None
    locks: tuple[FolderLock, ...] = ()
    mirror: Mirror | None = None

    @property
    def study_yaml(self) -> Path:
        """The resolved configuration."""
        return self.root / "study.yaml"

    @property
    def result_json(self) -> Path:
        """The result; written last."""
        return self.root / "result.json"

    @property
    def model_dir(self) -> Path:
        """The folder of the delivered model."""
        return self.root / "model"

    @property
    def database(self) -> Path:
        """The SQLite file, if there is no storage URL."""
        return self.root / "study.db"

    @property
    def plan_json(self) -> Path:
        """The identity of the study (`IDENTITY`), and the plan of its trials."""
        return self.root / "plan.json"

    @property
    def space_yaml(self) -> Path:
        """The search space with which the study began, since a newer version may change a preset."""
        return self.root / "space.yaml"

    def read_plan(self) -> dict[str, Any] | None:
        """Return the plan of an earlier run, or None."""
        return _read_json(self.plan_json, needed=("epochs", "begun_with"))

    def owner(self) -> str | None:
        """Return the id by which the database knows the study of this folder, or of the one that it replaces."""
        plans = (_read_json(root / "plan.json", needed=()) for root in (self.root, self.replaced) if root)
        return next((plan["owner"] for plan in plans if plan and "owner" in plan), None)

    def read_result(self) -> dict[str, Any] | None:
        """Return the result of an earlier run, or None."""
        return _read_json(self.result_json, needed=("best", "trials", "retrain", "holdout", "holdout_reads"))

    def check_whole(self) -> None:
        """Raise StudyError that names a damaged file of an earlier run."""
        self.read_plan()
        self.read_result()
        self.holdout_reads()

    def check_database(self) -> None:
        """Raise StorageError if the study's own database was removed while the study ran."""
        if not self.database.is_file():
            raise StorageError(
                f"the study's database {str(self.database)!r} was removed while the study ran: the model in "
                f"{str(self.model_dir)!r} is whole, but the study cannot be resumed"
            )

    def check_same(self, plan: dict[str, Any], config: StudyConfig) -> None:
        """Raise StudyError that names the difference if an earlier study cannot be resumed as `plan`.

        That is the option that was changed, or else what follows from the data.
        """
        earlier = self.read_plan()
        if earlier is None:
            return
        # Earlier versions cut all images, asked for no licences, and had no cross-validation.
        earlier = {
            "resize": "crop",
            "weights_licence": plan.get("weights_licence"),
            "val": "split",
            "split": plan.get("split"),  # earlier versions kept no digest of it
            **earlier,
        }
        changed = [key for key in IDENTITY if earlier.get(key) != plan.get(key)]
        if changed:
            raise self._other(changed, earlier, plan, config)

    def check_same_data(self, outline: str, name: str, config: StudyConfig) -> None:
        """Raise StudyError if an earlier study here had other names or labels, before any image is decoded.

        `outline` is that of the source, and `name` the name of the data.
        """
        earlier = self.read_plan()
        if earlier is not None and earlier.get("outline", outline) != outline:
            raise self._other(["data"], earlier, {"data_name": name}, config)

    def kept_in_words(self, config: StudyConfig) -> list[str]:
        """Return a sentence for each option of `config` that a resumed study does not follow."""
        earlier = self.read_plan() or {}
        unlike = [name for name in _KEPT if earlier.get(name) != getattr(config, name)]
        return [
            f"Trials keep the {option} with which this study began ({was}, {now} now): another is for another study."
            for option, was, now in self._changed_options(unlike, config)
        ]

    def _other(
        self, changed: Sequence[str], earlier: dict[str, Any], plan: dict[str, Any], config: StudyConfig
    ) -> StudyError:
        key, options = changed[0], self._changed_options(changed, config)
        if options:
            named = " and ".join(f"{option} ({was} there, {now} now)" for option, was, now in options)
            return StudyError(
                f"the study {self.root.name!r} exists with another {named}; "
                "choose another --study name, or replace it with --overwrite"
            )
        was, now = (str(p.get(f"{key}_name", p.get(key))) for p in (earlier, plan))
        detail = f"{was} there, {now} now" if was != now else f"the contents of {now} differ"
        other = "other data" if key == "data" else f"another {key}"
        return StudyError(
            f"the study {self.root.name!r} exists with {other} ({detail}); "
            "choose another --study name, or replace it with --overwrite"
        )

    def _changed_options(self, changed: Sequence[str], config: StudyConfig) -> list[tuple[str, str, str]]:
        """Return the options that explain what is `changed`, each with its value in study.yaml and now."""
        began = read_study_file(self.study_yaml) if self.study_yaml.is_file() else {}
        names = dict.fromkeys(name for key in changed for name in _OPTIONS.get(key, (key,)))
        now = {name: getattr(config, name, None) for name in names}
        return [
            (f"--{name.replace('_', '-')}", _shown(began[name]), _shown(now[name]))
            for name in names
            if name != "data" and name in began and began[name] != now[name]
        ]

    def begin(self) -> None:
        """Delete the study that this one replaces, after all checks."""
        if self.replaced is not None:
            shutil.rmtree(self.replaced, ignore_errors=True)
        if self.mirror is not None and not self.existed:
            self.mirror.delete()
        self.publish()

    def publish(self) -> None:
        """Copy the folder to its address, if it has one. Raises StorageError if that fails."""
        if self.mirror is not None:
            self.mirror.push()

    def uploading(self) -> AbstractContextManager[None]:
        """Return a context that publishes the folder from time to time and at the end."""
        return nullcontext() if self.mirror is None else self.mirror.uploading()

    def abandon(self) -> None:
        """Restore the folder as it was before if the study could not start: study.yaml is written after all checks."""
        if self.existed or self.study_yaml.is_file():
            return
        shutil.rmtree(self.root, ignore_errors=True)
        if self.replaced is not None and self.replaced.exists():
            self.replaced.rename(self.root)

    def close(self) -> None:
        """Release the locks."""
        for lock in self.locks:
            lock.release()

    def holdout_reads(self) -> int:
        """Return how often the holdout was opened."""
        path = self.root / HOLDOUT_FILE
        reads = (_read_json(path, needed=("reads",)) or {"reads": 0})["reads"]
        if not isinstance(reads, int):
            raise StudyError(f"{str(path)!r} is damaged (it must count reads); start again with --overwrite")
        return reads

    def count_holdout_read(self) -> int:
        """Record that the holdout is about to be opened; return how often, including this time."""
        reads = self.holdout_reads() + 1
        write_json(self.root / HOLDOUT_FILE, {"reads": reads})
        self.publish()
        return reads


def open_workspace(directory: str, study: str, *, overwrite: bool) -> Workspace:
    """Open the folder of a study. Raises StudyError if it cannot be created or written, or is something else."""
    mirror = Mirror(directory, study) if is_remote(directory) else None
    root = Path(directory) / study if mirror is None else mirror.root
    _restore_replaced(root)
    if mirror is not None:
        mirror.pull()
    existed = root.exists() and not _never_began(root)
    if existed and any(root.iterdir() if root.is_dir() else [root]) and not (root / "study.yaml").is_file():
        raise StudyError(
            f"{str(root)!r} must be a study or not exist, but is something else; choose another --study name"
        )
    replaced = earlier = None
    try:
        if existed and overwrite:
            earlier = FolderLock(root)  # another process may be running it
            replaced = root.with_name(f".{root.name}{REPLACED}{os.getpid()}").absolute()
            root.rename(replaced)
        root.mkdir(parents=True, exist_ok=True)
        lock = FolderLock(root)
    except OSError as error:
        raise StudyError(_not_writable(root, error.strerror or error)) from error
    if not existed:
        _clear(root)
    locks = (lock,) if earlier is None else (lock, earlier)
    return Workspace(root.resolve(), existed and not overwrite, replaced, locks, mirror)


def _never_began(root: Path) -> bool:
    """Return whether the folder is of a study that was killed before it had anything to resume."""
    return (root / LOCK).is_file() and not (root / "study.yaml").is_file()


def _clear(root: Path) -> None:
    """Empty the folder of a study that never started, except for its lock."""
    for path in root.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path.name != LOCK:
            path.unlink()


def _restore_replaced(root: Path) -> None:
    """Restore a study that a killed `--overwrite` had moved, unless the new study has started."""
    for moved in sorted(root.parent.glob(f".{escape(root.name)}{REPLACED}*")):
        try:
            FolderLock(moved).release()
        except StudyError:  # the process that moved it is still running
            continue
        if (root / "study.yaml").is_file():
            shutil.rmtree(moved)
        elif not root.exists() or _never_began(root):
            shutil.rmtree(root, ignore_errors=True)
            moved.rename(root)


def _locked_by_another(file: IO[str]) -> bool:
    try:
        import fcntl
    except ImportError:
        return False
    for wait in (*_WAITS, None):
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if wait is None:
                return True
            time.sleep(wait)
        except OSError:  # a file system without locks
            return False
        else:
            return False
    return True


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write `content` atomically."""
    write_text(path, json_safe(json.dumps(content, indent=2, ensure_ascii=False, default=_plain)) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write `text` atomically. If that fails, as on a full disk, the file is as before and nothing lies beside it."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _shown(option: Any) -> str:
    """Return the value of an option in a message."""
    return "none" if option is None else "given in Python" if isinstance(option, dict) else str(option)


def _plain(value: Any) -> Any:
    """Return paths and NumPy numbers in a form for JSON."""
    return value.item() if hasattr(value, "item") else str(value)


def _read_json(path: Path, *, needed: Sequence[str]) -> dict[str, Any] | None:
    if not path.is_file():
        return None
    try:
        content: dict[str, Any] = read_json(path)
        missing = [key for key in needed if not isinstance(content, dict) or key not in content]
        if missing:
            raise ValueError(f"it lacks {missing[0]!r}")
    except ValueError as error:
        raise StudyError(
            f"{str(path)!r} is damaged ({error}); remove it, or start again with --overwrite"
        ) from error
    return content


def _not_writable(root: Path, why: object) -> str:
    return f"the study folder {str(root)!r} must be writable, but is not ({why}); choose another with --directory"
