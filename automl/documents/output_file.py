"""Whether a file that a user names for an output may be written: it must cost nothing that is there."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from automl.errors import UsageError

# A folder with the first and one of the others is a study; the first alone may be a configuration that a user keeps.
_STUDY_FILE, _OF_A_STUDY = "study.yaml", (".running", "plan.json", "result.json", "study.db")
_MOST_START = 65_536  # characters that tell what a file is


@dataclass(frozen=True)
class Kind:
    """A kind of output: its `name`, and whether a file that exists, given its first characters, `is_one`.

    `certain`: no other program writes files that look so. If not, none of the data's own files is replaced.
    """

    name: str
    is_one: Callable[[str], bool]
    certain: bool = True


def page_kind(name: str) -> Kind:
    """Return the kind of a page of this name that says by `generator` that it is of automl."""
    return Kind(f"{name} page of automl", lambda start: generator(name) in start)


def generator(name: str) -> str:
    """Return the element by which a page says what it is."""
    return f'<meta name="generator" content="automl {name}">'


def table_kind(name: str, has: Callable[[Sequence[str]], bool], *, certain: bool = True) -> Kind:
    """Return the kind of a CSV table; `has` tells by the names of the columns."""
    return Kind(name, lambda start: has(next(csv.reader(start.splitlines()[:1]), [])), certain)


def require_output(
    option: str, path: str | Path, kind: Kind, *, data: Iterable[object] = (), beside: Path | None = None
) -> None:
    """Raise UsageError if writing `path`, named with `option`, would destroy what is not an earlier output of `kind`.

    It must not lie inside a study, except for `beside`, the place of this output in the study's own folder. It must be
    none of `data` (paths; anything else is passed over), and a file that exists must be of the kind, or be empty.
    """
    path = Path(path)
    place = path.resolve()
    if place.is_dir():
        raise UsageError(f"{option} must be a file that can be written, got {str(path)!r} (Is a directory)")
    if beside is None or place != beside.resolve():
        for folder in place.parents:
            if is_study(folder):
                raise UsageError(
                    f"{option} must not be a file inside a study, got {str(path)!r} in the study {folder.name!r}: "
                    "name a file elsewhere"
                )
    given = [Path(one).resolve() for one in data if isinstance(one, str | Path) and str(one)]
    if place in given:
        raise UsageError(f"{option} must not be the data, got {str(path)!r}: name another file")
    if not place.is_file() or not place.stat().st_size:
        return
    among = any(folder in given for folder in place.parents)
    if (among and not kind.certain) or not kind.is_one(_start(place)):
        raise UsageError(
            f"{option} must be a new file or an earlier {kind.name}, but {str(path)!r} holds something else: name "
            "another file, or remove this one first"
        )


def is_study(folder: Path) -> bool:
    """Return whether a folder is that of a study."""
    return (folder / _STUDY_FILE).is_file() and any((folder / name).exists() for name in _OF_A_STUDY)


def _start(path: Path) -> str:
    """Return the first characters of a file; "" if it cannot be read."""
    try:
        with path.open(encoding="utf-8", errors="replace", newline="") as file:
            return file.read(_MOST_START)
    except OSError:
        return ""
