"""Whose study this is: in a database that several people use, a name alone may lead to the trials of another.

The folder of a study has an id, in its plan.json, and so has the study in the database.
"""

from __future__ import annotations

import platform
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from sqlalchemy import inspect, text
from sqlalchemy.exc import SQLAlchemyError

from automl.documents.json_file import parse_json, read_object
from automl.errors import StorageError, StudyError
from automl.machine import user_name
from automl.remote import is_remote
from automl.search.storage.sql.urls import connected, masked, sqlite_file, with_driver
from automl.terminal.masking import mask_password

_PLAN = "plan.json"  # of a study's folder
_FINGERPRINT = text(
    "SELECT m.fingerprint FROM automl_meta m JOIN studies s ON s.study_id = m.study_id"
    " WHERE s.study_name = :study"
)


@dataclass(frozen=True)
class Owner:
    """The id of a study's folder, and where it lay when the study was made: user, machine and folder."""

    id: str
    place: str

    def to_dict(self) -> dict[str, str]:
        """Return it as plain data."""
        return asdict(self)


def claim(url: str, study: str, folder: str, *, known: str | None, existed: bool) -> Owner:
    """Return the owner of the study for a run in `folder`, a path or an address.

    `known` is the id in the folder, None if it has none. A study that was made at the same place counts as that of the
    folder, even if the folder was removed. `existed`: the folder is of an earlier run, which may be one of a version
    without owners. Raises StudyError if the database has a study of this name from another folder. A database that
    does not exist or cannot be reached is no error here: opening it says what is wrong.
    """
    mine = Owner(known or uuid4().hex, _place(folder))
    found = _stored(url, study)
    if found is None:
        return mine
    owner = found.get("owner")
    if owner is None:
        if existed:
            return mine
        raise _refusal(study, masked(url), "another folder")
    if owner["place"] == mine.place:
        return Owner(owner["id"], mine.place)
    check_owner(study, masked(url), owner, mine)
    if _is_elsewhere(owner, mine, folder):
        raise StudyError(
            f"the study {study!r} in {masked(url)} is that of {owner['place']}, and {folder!r} is a copy of that "
            "folder: continue it there, or give the copy another --study name or --storage"
        )
    return mine


def _is_elsewhere(stored: dict[str, str], mine: Owner, folder: str) -> bool:
    """Return whether the folder of the study is still where it was, so that `folder` is a copy of it."""
    here, _, _ = mine.place.partition(":")
    machine, _, place = stored["place"].partition(":")
    if machine != here or is_remote(place) or is_remote(folder):
        return False
    there = Path(place)
    try:
        same = there.samefile(folder)
    except OSError:  # it was moved
        return False
    return not same and read_object(there / _PLAN).get("owner") == stored["id"]


def check_owner(study: str, shown: str, stored: dict[str, str] | None, mine: Owner | None) -> None:
    """Raise StudyError if a study with the owner `stored` is not that of `mine`. None: not known, and not checked."""
    if stored is not None and mine is not None and stored["id"] != mine.id:
        raise _refusal(study, shown, stored["place"])


def _refusal(study: str, shown: str, place: str) -> StudyError:
    return StudyError(
        f"the study {study!r} in {shown} is that of {place}: choose another --study name, or continue it there"
    )


def _stored(url: str, study: str) -> dict[str, Any] | None:
    """Return the fingerprint of the study, None if there is no such study or no database."""
    try:
        parsed = with_driver(url)
        file = sqlite_file(parsed)
        if file is not None and not file.is_file():
            return None  # connecting would create it
        with connected(url) as connection:
            if not inspect(connection).has_table("automl_meta"):
                return None
            row = connection.execute(_FINGERPRINT, {"study": study}).scalar()
    except (ImportError, SQLAlchemyError):
        return None
    return None if row is None else read_fingerprint(row, study, masked(url))


def read_fingerprint(stored: str, study: str, shown: str) -> dict[str, Any]:
    """Return what the database says of a study. Raises StorageError if automl did not write that."""
    try:
        found = parse_json(stored)
        owner = found.get("owner")
        whole = owner is None or all(isinstance(owner[key], str) for key in ("id", "place"))
    except (AttributeError, KeyError, TypeError, ValueError):
        whole = False
    if not whole:
        raise StorageError(
            f"the study {study!r} in {shown} is damaged: its fingerprint there is none, so restore it from a copy"
        )
    return dict(found)


def _place(folder: str) -> str:
    return f"{user_name()}@{platform.node()}:{mask_password(folder)}"
