"""Rows of a table that repeat an image in another part of the split."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence

from automl.data.sources.base import counted
from automl.data.sources.files.split_names import HOLDOUT, TRAIN, VAL
from automl.errors import DataError

_STRONGER = {"": 0, TRAIN: 0, VAL: 1, HOLDOUT: 2}


def in_one_part(
    rows: Sequence[Hashable], splits: Sequence[str], names: Sequence[str], where: str
) -> tuple[list[str], tuple[str, ...]]:
    """Return the part of each row, one for all equal `rows`, and a note on those that were in several.

    An image that is for the test is not for training: holdout counts before val, and val before train. Raises DataError
    with the name of the table, `where`, if no training row is left, as with the folds of a cross-validation.
    """
    parts: dict[Hashable, dict[str, None]] = defaultdict(dict)
    for row, split in zip(rows, splits, strict=True):
        parts[row][split] = None
    several = {row: max(found, key=_STRONGER.__getitem__) for row, found in parts.items() if len(found) > 1}
    if not several:
        return list(splits), ()
    chosen = [several.get(row, split) for row, split in zip(rows, splits, strict=True)]
    first = next(i for i, row in enumerate(rows) if row in several)
    found = sorted((part or TRAIN for part in parts[rows[first]]), key=_STRONGER.__getitem__)
    example = f"{names[first]} in {' and '.join(dict.fromkeys(found))}"
    if all(_STRONGER[part] for part in chosen):
        raise DataError(
            f"an image must be in one part of a split, but in {where!r} all training images are in other parts too "
            f"(such as {example}): if these are the folds of a cross-validation, give the table of one fold"
        )
    told = f"{counted(len(several), 'image')} named in several parts of the split (such as {example})"
    return chosen, (
        f"{told}: kept in the last of these parts alone, as images of a test are not trained on.",
    )
