"""Find studies on disk, read their files, and find the folder of their model."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from glob import escape
from pathlib import Path
from typing import Any

from automl.config.loading import read_study_file
from automl.config.names import directory_flag
from automl.config.storage import unmask
from automl.documents.bounded_file import open_file
from automl.documents.json_file import read_json, read_object
from automl.errors import ConfigError, ModelError, StudyError, reason_of, unknown_name
from automl.final.evaluation.words import answers_nothing
from automl.final.evidence.gap import with_reads
from automl.machine import path_problem
from automl.remote import download_copy, is_remote, local_root, names_at

STUDY_FILE = "study.yaml"
RESULT_FILE = "result.json"
PLAN_FILE = "plan.json"
TRIALS_FILE = "trials.csv"
DATABASE_FILE = "study.db"
REPORT_FILE = "report.html"
HOLDOUT_FILE = "holdout.json"  # how often the holdout was read
LOCK = ".running"  # locked by the process that runs the study, which it names
MODEL_FOLDER = "model"
WEIGHTS_FILE = "model.safetensors"
_MOST_OF_A_LOCK = 2**20  # bytes
REPLACED = ".replaced-"  # in the name of the folder of a study that `--overwrite` is about to replace


LOST_WORDS = (
    "the holdout was read, so the study had come to its end, but "
    f"{RESULT_FILE} is missing: restore it from a copy"
)


@dataclass(frozen=True)
class StudyFolder:
    """A study on disk: `config` is study.yaml, unchecked; `result` is result.json, None if unfinished.

    `plan` is plan.json, empty where there is none yet.
    """

    name: str
    path: Path
    config: dict[str, Any]
    result: dict[str, Any] | None
    plan: dict[str, Any] = field(default_factory=dict)
    home: str = ""  # the address that the folder is a copy of

    @property
    def finished(self) -> bool:
        """Whether the study is finished (result.json is written last)."""
        return self.result is not None

    @property
    def directory(self) -> str | Path:
        """The folder of studies that it is in, or the address, of which `path` is a copy."""
        return self.home or self.path.parent

    @property
    def address(self) -> str:
        """The address of the studies that it belongs to, where `path` is a copy on this machine; "" for none."""
        if self.home:
            return self.home
        url = str(self.config.get("directory", ""))
        here = is_remote(url) and self.path.resolve() == (local_root(url) / self.name).resolve()
        return url if here else ""

    @property
    def state(self) -> str:
        """`unfinished`, `stopped` (Ctrl-C ended it early, so that a resume goes on), or `finished`."""
        if self.result is None:
            return "unfinished"
        return "finished" if self.result.get("stopped") is None else "stopped"

    @property
    def runner(self) -> str:
        """Who runs the study now, such as `process 4711`; "" if nobody does, or the file system has no locks."""
        return _owner(self.path / LOCK)

    @property
    def state_words(self) -> str:
        """The state, as `in_words` says it."""
        usable = None if self.result is None else self.result.get("usable")
        return in_words(self.state, usable, running=bool(self.runner), silent=answers_nothing(self.result))

    @property
    def holdout_reads(self) -> int:
        """How often the holdout was read; 0 where nothing says so."""
        try:
            reads = read_json(self.path / HOLDOUT_FILE)["reads"]
        except (OSError, LookupError, TypeError, ValueError):
            return 0
        return reads if isinstance(reads, int) else 0

    @property
    def lost_result(self) -> bool:
        """Whether the study had come to its end, but its result is missing."""
        return self.result is None and self.holdout_reads > 0 and not self.runner

    @property
    def model_dir(self) -> Path:
        """The folder of its model, which may not exist yet."""
        return self.path / MODEL_FOLDER

    @property
    def metric(self) -> str:
        """The metric's name; `auto` if an unfinished study has not chosen it."""
        return str((self.result or self.plan).get("metric") or self.config.get("metric", "auto"))

    def storage_url(self) -> str:
        """Return the URL of its Optuna storage. Raises ConfigError if its password is masked and unknown."""
        url = self.config.get("storage")
        if url:
            return unmask(str(url))
        from automl.search.storage.sql.urls import sqlite_url  # SQLAlchemy takes a moment to load

        return sqlite_url(self.path / DATABASE_FILE)


# What reading a value of another type or size than a study writes ends in.
WRONG_VALUES = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


def in_words(state: str, usable: bool | None, *, running: bool = False, silent: bool = False) -> str:
    """Return the state of a study for people: a finished one may have a model that is not usable.

    `running`: a process runs it now, perhaps to resume one that has a result. `silent`: its model of several labels
    answers none on any image.
    """
    if running and state == "unfinished":
        return "running"
    said = f"{state}, not usable" if usable is False else f"{state}, answers no label" if silent else state
    return f"{said}, being resumed" if running else said


def _owner(lock: Path) -> str:
    """Return what a lock file says of the process that has locked it; "" if none has."""
    try:
        import fcntl
    except ImportError:
        return ""
    try:
        file = open_file(lock, _MOST_OF_A_LOCK)
    except (OSError, ValueError):  # there is none, or it is no file
        return ""
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return os.read(file, 100).decode(errors="replace").strip() or "another process"
    except OSError:  # a file system without locks
        return ""
    finally:
        os.close(file)
    return ""


@contextmanager
def damage_told(study: str) -> Iterator[None]:
    """Raise StudyError for values in the files of a study that no version writes there."""
    try:
        yield
    except WRONG_VALUES as error:
        raise StudyError(
            f"the files of the study {study!r} hold a value that automl does not write "
            f"({type(error).__name__}: {reason_of(error)}): they are damaged, so restore them from a copy"
        ) from error


def read_study(path: Path) -> StudyFolder:
    """Return the study in a folder. Raises StudyError if its files cannot be read.

    Where holdout.json counts more reads than result.json tells, as after a run that was killed, it is believed.
    """
    try:
        config = read_study_file(path / STUDY_FILE)
        result_file = path / RESULT_FILE
        result = read_json(result_file) if result_file.exists() else None
    except (ConfigError, OSError, ValueError) as error:
        raise StudyError(f"a study's files must be readable, got {str(path)!r} ({error})") from error
    if result is not None and not isinstance(result, dict):
        raise StudyError(f"{RESULT_FILE} must hold one JSON object, got something else in {str(path)!r}")
    found = StudyFolder(
        str(config.get("study") or study_name(path.resolve())),
        path,
        config,
        result,
        read_object(path / PLAN_FILE),
    )
    told = (result or {}).get("holdout_reads")
    if result is not None and isinstance(told, int) and told < found.holdout_reads:
        return replace(found, result=with_reads(result, found.holdout_reads))
    return found


def require_own_name(study: StudyFolder) -> None:
    """Raise StudyError if the folder of a study has another name than the study, which is then not to be changed.

    A copy beside the study itself would otherwise be taken for it.
    """
    folder = study_name(study.path.resolve())
    if folder != study.name:
        raise StudyError(
            f"a study can be changed in a folder of its own name, but {str(study.path)!r} is a copy of the study "
            f"{study.name!r}, or was renamed: call the folder {study.name!r} again, in another --directory if need be"
        )


def study_folders(directory: str | Path) -> list[Path]:
    """Return the folders of the studies in a directory, by name; empty without such a directory.

    Studies at an address are copied to this machine for reading.
    """
    if is_remote(directory):
        url = str(directory)
        return [download_copy(url, name) / name for name in names_at(url)]
    directory = Path(directory)
    require_path(directory)
    if not directory.is_dir():
        return []
    names = {entry.name for entry in directory.iterdir() if not entry.name.startswith(".")}
    names |= {name for entry in directory.glob(f".*{REPLACED}*") if (name := _name_before(entry))}
    found = (study_folder(directory / name) for name in sorted(names))
    return [folder for folder in found if folder is not None]


def require_path(path: Path) -> None:
    """Raise StudyError for a path that no system takes."""
    if problem := path_problem(path):
        raise StudyError(problem)


def study_folder(path: Path) -> Path | None:
    """Return where the study is whose folder is `path`; None if there is none.

    While `fit --overwrite` prepares another one, and if it was killed then, that is a hidden folder.
    """
    require_path(path)
    places = [path, *sorted(path.absolute().parent.glob(f".{escape(path.name)}{REPLACED}*"))]
    return next((place for place in places if (place / STUDY_FILE).is_file()), None)


def _name_before(folder: Path) -> str:
    """Return the name that a study had before `--overwrite` moved it; "" for other folders."""
    return folder.name[1:].rpartition(REPLACED)[0]


def study_name(folder: Path) -> str:
    """Return the name of the study in a folder, which may be one of `study_folder`."""
    return _name_before(folder) or folder.name


def find_study(study: str, directory: str | Path) -> StudyFolder:
    """Return the study of this name in `directory`, or in the folder `study`. Raises StudyError for none.

    A study at an address (s3://...) is copied to this machine for reading.
    """
    if is_remote(study):
        directory, _, study = study.rstrip("/").rpartition("/")
    if is_remote(directory):
        return _find_remote(study, str(directory))
    for path in (Path(directory) / study, Path(study)):
        if (place := study_folder(path)) is not None:
            return read_study(place)
    names = [study_name(path) for path in study_folders(directory)]
    if not names:
        raise StudyError(
            f"a study must exist, got {study!r}, but {str(directory)!r} holds none; "
            f"start one with `automl fit DATA`, or give their folder with --directory"
        )
    raise StudyError(unknown_name("study", study, names))


def _find_remote(study: str, url: str) -> StudyFolder:
    names = names_at(url)
    if study in names:
        return replace(read_study(download_copy(url, study) / study), home=url)
    raise StudyError(
        unknown_name("study", study, names) if names else f"{url!r} holds no study, got {study!r}"
    )


def study_data(model: Path) -> object:
    """Return what study.yaml says of the data of the study whose model folder this is; None without such a study."""
    try:
        return read_study(model.parent).config.get("data")
    except StudyError:
        return None


def find_model(model: str | Path, directory: str | Path = "studies") -> Path:
    """Return the model folder of a study's name or folder, or a model folder. Raises ModelError for none."""
    if is_remote(str(model)):
        directory, _, model = str(model).rstrip("/").rpartition("/")
    if is_remote(directory):
        if str(model) not in names_at(str(directory)):
            raise ModelError(unknown_name("model", str(model), names_at(str(directory))))
        directory = download_copy(str(directory), str(model), model=True)
        model = directory / model
    given = Path(model)
    studies = [
        place for path in (given, Path(directory) / model) if (place := study_folder(path)) is not None
    ]
    for path in (given, given / MODEL_FOLDER, *(place / MODEL_FOLDER for place in reversed(studies))):
        if (path / WEIGHTS_FILE).is_file():
            return path
    for path in studies:
        raise ModelError(
            f"study {study_name(path)!r} has no model yet, because it is not finished; "
            f"resume with `automl resume {study_name(path)}{directory_flag(path.parent)}`"
        )
    names = [study_name(path) for path in study_folders(directory) if (path / MODEL_FOLDER).is_dir()]
    if given.exists() or not names:
        raise ModelError(
            f"a model must be a study's name, its folder or a folder with {WEIGHTS_FILE}, got {str(model)!r}"
        )
    raise ModelError(unknown_name("model", str(model), names))
