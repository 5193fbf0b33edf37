"""Names of studies: which are allowed, the default for a data set, and how a command finds one."""

from __future__ import annotations

import hashlib
import re
import shlex
import unicodedata

from automl.machine import expanded
from automl.terminal.masking import mask_password

# Longer endings first: photos.tar.gz is photos.
ARCHIVES = (
    *(".tar.gz", ".tar.bz2", ".tar.xz", ".tar", ".tgz", ".tbz2", ".txz", ".zip"),
    *(".csv", ".tsv", ".jsonl", ".json", ".parquet", ".txt", ".lst"),
)
BUILT_IN = ("digits",)
# Data with one of these prefixes are no path.
REMOTE = ("torchvision:", "hf:")
_ALLOWED = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")
_LONGEST = 100
_HASH = 8  # characters
STUDIES = "studies"  # the default folder of studies


def check_study_name(name: str) -> str:
    """Return the name if it can name a folder: letters, digits, `-`, `_` and `.`, not starting with `-` or `.`.

    Raises ValueError (one clause) otherwise. Path parts are refused: they belong in `directory`.
    """
    if "/" in name or "\\" in name:
        raise ValueError(f"must be a name without path parts, got {name!r}; set the folder with directory")
    if not _ALLOWED.fullmatch(name) or len(name) > _LONGEST:
        raise ValueError(
            f"must consist of letters, digits, '-', '_' and '.', begin with a letter or a digit "
            f"and have at most {_LONGEST} characters, got {name!r}"
        )
    return name


def default_study_name(data: object) -> str:
    """Return the default name of a study: `photos/` -> `photos`, `a/x.zip` -> `x`, arrays -> `arrays`.

    Letters of other scripts are left out. A name in which no letter is left ends with a hash of the whole, so that two
    folders have two names.
    """
    if not isinstance(data, str):
        return "arrays"
    if data in BUILT_IN:
        return data
    for prefix in REMOTE:
        data = data.removeprefix(prefix)
    path = expanded(data)
    last = path.name if path.name not in ("", "..") else path.resolve().name
    ending = next((ending for ending in ARCHIVES if last.lower().endswith(ending)), "")
    last = last[: len(last) - len(ending)]
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", last).strip("-.")[:_LONGEST]
    if re.search("[A-Za-z]", name) or not any(map(str.isalpha, last)):
        return name or "study"
    digest = hashlib.sha256(unicodedata.normalize("NFC", last).encode("utf-8", "surrogatepass")).hexdigest()
    return f"{(name or 'study')[: _LONGEST - _HASH - 1]}-{digest[:_HASH]}"


def directory_flag(directory: object) -> str:
    """Return the end of a command on a study in this folder, as a person may copy it; "" for the default folder.

    The password of an address is masked.
    """
    text = str(directory)
    return "" if text == STUDIES else f" --directory {shlex.quote(mask_password(text))}"
