"""Columns that say which rows of a table belong together: the patient, the plant, the video."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

from automl.data.sources.base import counted
from automl.data.sources.cells import groups_of

if TYPE_CHECKING:
    import pandas as pd

# Names of columns that may say which rows belong together, with or without "id" or "name" after them.
_KIN = frozenset(
    ("patient", "subject", "slide", "video", "plant", "person", "lesion", "case", "study", "exam", "donor")
    + ("animal", "mouse", "individual", "specimen", "participant", "scene", "sequence", "session", "clip")
    + ("camera", "tree", "plot", "driver", "scan", "series", "accession", "wsi", "participantno", "subjectno")
)


def kin_notes(frame: pd.DataFrame, taken: Sequence[str | None], splits: Sequence[str]) -> tuple[str, ...]:
    """Return a note on a column that may say which rows belong together, and whether `splits` keep these together."""
    for name in map(str, frame.columns):
        plain = re.sub(r"[\W_]+", "", name.lower())
        if name in taken or not {plain, re.sub(r"(id|ids|name|no|number|code)$", "", plain)} & _KIN:
            continue
        groups, _ = groups_of(frame[name], name)
        sides: dict[str, set[str]] = defaultdict(set)
        for group, split in zip(groups, splits, strict=True):
            sides[group].add(split or "train")
        sides.pop("", None)
        if not 1 < len(sides) < len([group for group in groups if group]):
            continue
        across = sum(len(found) > 1 for found in sides.values())
        option = f"--group-column {name} (in Python group_column)"
        if not across:
            return (f"Rows of one {name} may look alike: {option} keeps them in one part.",)
        lie = "lies" if across == 1 else "lie"
        said = f"{counted(across, 'value')} of {name} {lie} on several sides of the given split"
        return (
            f"{said}, so the score may be too good: {option} with --on-group-leak drop or redraw mends it.",
        )
    return ()
