"""Studies at an address (s3://, gs://, file:// ...): a local folder that fsspec uploads.

Another machine can resume from the address at any moment, so the order of uploads matters: a checkpoint's files come
before the note that makes it valid, all checkpoints before the database that refers to them, and result.json last.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sqlite3
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from importlib import import_module
from pathlib import Path, PurePosixPath
from typing import Any

from automl.documents.json_file import parse_json, read_json
from automl.errors import StorageError, UsageError
from automl.log import get_logger
from automl.machine import cache_folder

LONGEST_S = 60.0  # that the end of a study waits for an upload that is under way
EVERY_S = 20.0  # between two uploads while a study runs
TURN = "turn.json"  # counts the uploads of the study
DATABASE, ROUND_NOTE = "study.db", "automl_round.json"
SCORES = "validation.safetensors"  # of a trial: small, and its matrix and errors are made of it
# Uploaded last, in this order.
LATE = (ROUND_NOTE, DATABASE, "study.yaml", "result.json")
_LOCAL = ("-wal", "-shm", ".lock", ".tmp", ".part")


def is_remote(place: str | Path) -> bool:
    """Return whether `place` is an address rather than a path."""
    return "://" in str(place)


def local_root(url: str, *, kind: str = "studies") -> Path:
    """Return the local folder for the studies at `url`, in `cache_folder()`."""
    return cache_folder() / kind / hashlib.sha256(url.rstrip("/").encode()).hexdigest()[:16]


def names_at(url: str) -> list[str]:
    """Return the names of the studies at `url`. Raises StorageError and UsageError."""
    with _opened(url) as (files, base):
        if not files.exists(base):
            return []
        folders = [entry["name"] for entry in files.ls(base, detail=True) if entry["type"] == "directory"]
        names = [PurePosixPath(f).name for f in folders if files.exists(f"{f.rstrip('/')}/study.yaml")]
        return sorted(name for name in names if _is_safe(PurePosixPath(name)))


def download_copy(url: str, study: str, *, model: bool = False) -> Path:
    """Update the local read-only copies of studies by this one, without checkpoints and logs, and return their folder.

    The model is included if `model` is true.
    """

    def wanted(path: PurePosixPath) -> bool:
        if path.parts[0] == "trials":
            return path.name == SCORES
        return model or path.parts[0] != "model"

    root = local_root(url, kind="views")
    _download(url, study, root / study, wanted)
    return root


def upload_file(url: str, study: str, path: Path) -> str:
    """Put a file that was made of a study's copy into the study at `url`, and return its address.

    Raises StorageError and UsageError.
    """
    with _opened(url) as (files, base):
        _upload(files, path, f"{base}/{study}/{path.name}")
    return f"{url.rstrip('/')}/{study}/{path.name}"


class Mirror:
    """The local folder of one study and its copy at an address."""

    def __init__(self, url: str, study: str) -> None:
        self.url, self.study = url.rstrip("/"), study
        self.root = local_root(url) / study
        self._sent: dict[str, tuple[int, int]] = {}
        self._lock = threading.Lock()

    def pull(self) -> None:
        """Download the study before it is resumed, unless this machine made the last upload.

        In that case the local folder is at least as new. Raises StorageError if the address cannot be read.
        """
        there, here = self._remote_turn(), _read_turn(self.root / TURN)
        if there is not None and there != here:
            shutil.rmtree(self.root, ignore_errors=True)
            _download(self.url, self.study, self.root, lambda path: True)

    def push(self) -> None:
        """Upload what has changed. Raises StorageError if that fails."""
        with self._lock, _opened(self.url) as (files, base):
            there = f"{base}/{self.study}"
            found = {path.relative_to(self.root).as_posix(): path for path in self._files()}
            states = {name: _state(path) for name, path in found.items()}
            changed = [name for name, state in states.items() if self._sent.get(name) != state]
            if not changed and set(found) == set(self._sent):
                return
            for name in _notes_of(changed, there, files):
                files.rm_file(name)  # its checkpoint is about to change
            for name in sorted(changed, key=_order):
                _upload(files, found[name], f"{there}/{name}")
            self._remove_gone(files, there, set(found))
            turn = json.dumps({"turn": (_read_turn(self.root / TURN) or 0) + 1})
            (self.root / TURN).write_text(turn, encoding="utf-8")
            _upload(files, self.root / TURN, f"{there}/{TURN}")
            self._sent = states

    def delete(self) -> None:
        """Delete the study at the address, before another one replaces it."""
        with _opened(self.url) as (files, base):
            if files.exists(f"{base}/{self.study}"):
                files.rm(f"{base}/{self.study}", recursive=True)

    @contextmanager
    def uploading(self) -> Iterator[None]:
        """Upload the study every 20 seconds inside of the block, and once more at its end."""
        done = threading.Event()

        def run() -> None:
            while not done.wait(EVERY_S):
                try:
                    self.push()
                except StorageError as error:  # may be temporary; the last upload raises it
                    get_logger(__name__).warning("%s", error)

        thread = threading.Thread(target=run, name="automl-mirror", daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join(LONGEST_S)
            if (self.root / "study.yaml").is_file():
                self.push()

    def _remote_turn(self) -> int | None:
        with _opened(self.url) as (files, base):
            place = f"{base}/{self.study}/{TURN}"
            return int(parse_json(files.cat_file(place))["turn"]) if files.exists(place) else None

    def _files(self) -> Iterator[Path]:
        """Yield the files of the study, without unfinished files and files that belong to this machine."""
        for path in self.root.rglob("*"):
            parts = path.relative_to(self.root).parts
            hidden = any(part.startswith(".") for part in parts)
            if path.is_file() and not hidden and not path.name.endswith(_LOCAL) and path.name != TURN:
                yield path

    def _remove_gone(self, files: Any, there: str, left: set[str]) -> None:
        for path in sorted(files.find(there), key=lambda path: not path.endswith(ROUND_NOTE)):
            name = path[len(there) :].lstrip("/") if path.startswith(there) else None
            if name and name != TURN and name not in left:
                files.rm_file(path)


def _order(name: str) -> int:
    last = PurePosixPath(name).name
    return LATE.index(last) if last in LATE else -1


def _notes_of(changed: list[str], there: str, files: Any) -> list[str]:
    """Return the notes at the address of checkpoints with a changed file."""
    folders = {PurePosixPath(name).parent for name in changed if "checkpoint" in PurePosixPath(name).parts}
    notes = [f"{there}/{folder}/{ROUND_NOTE}" for folder in folders]
    return [note for note in notes if files.exists(note)]


def _state(path: Path) -> tuple[int, int]:
    """Return size and modification time of a file; those of a database include its write-ahead log."""
    log = path.with_name(f"{path.name}-wal")
    known = [path.stat(), *([log.stat()] if path.name == DATABASE and log.exists() else [])]
    return sum(one.st_size for one in known), max(one.st_mtime_ns for one in known)


def _upload(files: Any, path: Path, place: str) -> None:
    files.makedirs(place.rpartition("/")[0], exist_ok=True)
    if path.name != DATABASE:
        files.put_file(str(path), place)
        return
    with tempfile.TemporaryDirectory(prefix="automl-mirror-") as folder:
        copy = Path(folder) / DATABASE  # a consistent copy, while the search goes on writing
        with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(copy)) as target:
            source.backup(target)
        files.put_file(str(copy), place)


def _download(url: str, study: str, root: Path, wanted: Callable[[PurePosixPath], bool]) -> None:
    """Download the wanted files of a study that have changed, and remove files that are gone at the address.

    What was downloaded is kept beside the folder, where no file of the address can lie.
    """
    tokens_file = root.parent / f".{study}.tokens.json"
    with _opened(url) as (files, base):
        there = f"{base}/{study}"
        found = {}
        for path in files.find(there) if files.exists(there) else []:
            name = PurePosixPath(path[len(there) :].lstrip("/"))
            if _is_safe(name) and wanted(name):
                found[name.as_posix()] = path
        tokens = _read_tokens(tokens_file) if root.is_dir() else {}
        for gone in set(tokens) - set(found):
            (root / gone).unlink(missing_ok=True)
        fresh = {key: str(files.ukey(path)) for key, path in found.items()}
        for key, path in found.items():
            if tokens.get(key) != fresh[key] or not (root / key).is_file():
                (root / key).parent.mkdir(parents=True, exist_ok=True)
                files.get_file(path, str(root / key))
        if found:
            tokens_file.write_text(json.dumps(fresh), encoding="utf-8")


def _is_safe(name: PurePosixPath) -> bool:
    """Return whether a name from an address stays below the folder that it is for, and is none of the hidden ones."""
    odd = any(part.startswith(".") or "\\" in part or ":" in part for part in name.parts)
    return bool(name.parts) and not name.is_absolute() and not odd


def _read_tokens(path: Path) -> dict[str, str]:
    try:
        found = read_json(path)
    except (OSError, ValueError):
        return {}
    known = found if isinstance(found, dict) else {}
    return {name: str(token) for name, token in known.items() if _is_safe(PurePosixPath(name))}


def _read_turn(path: Path) -> int | None:
    try:
        return int(read_json(path)["turn"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


@contextmanager
def _opened(url: str) -> Iterator[tuple[Any, str]]:
    """Yield fsspec's file system of an address and the path in it; map its errors to ours."""
    try:
        fsspec: Any = import_module("fsspec")
        files, base = fsspec.core.url_to_fs(url)
        files.invalidate_cache()
        yield files, base.rstrip("/")
    except (ImportError, ValueError) as error:
        raise UsageError(f"--directory {url!r} cannot be used: {error}") from error
    except (StorageError, UsageError):
        raise
    except Exception as error:  # each file system raises its own errors
        cause = " ".join(str(error).split()) or type(error).__name__
        raise StorageError(f"the studies at {url!r} cannot be read or written: {cause}") from error
