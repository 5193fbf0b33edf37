"""The folds of a cross-validation as files of rows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from automl.data.labelled_rows import Labelled
from automl.data.splits import TRAIN, VAL, Split
from automl.records import Fold, Rows


def write_folds(labelled: Labelled, split: Split, parts: dict[str, Rows]) -> tuple[Fold, ...]:
    """Return the folds of a cross-validation, with an index of rows beside those of `parts`; () without folds.

    The first fold is the training and the validation part. Raises OSError.
    """
    if not split.folds:
        return ()
    found = [Fold(parts[TRAIN], parts[VAL])]
    folder, of_rows = parts[TRAIN].index.parent, np.array(split.folds)
    searched = np.isin(split.parts, (TRAIN, VAL))
    for number in range(2, int(of_rows.max()) + 1):
        val = searched & (of_rows == number)
        rows = []
        for part, chosen in ((TRAIN, searched & ~val), (VAL, val)):
            path = folder / f"fold{number}_{part}.npy"
            np.save(path, labelled.usable[chosen])
            rows.append(replace(parts[part], index=path, n=int(chosen.sum())))
        found.append(Fold(*rows))
    return tuple(found)


def folds_in_words(split: Split) -> str:
    """Return a sentence about the folds; "" without any."""
    if not split.folds:
        return ""
    of_rows, searched = np.array(split.folds), np.isin(split.parts, (TRAIN, VAL))
    sizes = np.bincount(of_rows[searched])
    alone = int(sizes[0])
    said = (
        f"Cross-validation: {len(sizes) - 1} folds of {sizes[1:].min():,} to {sizes[1:].max():,} images; each is "
        "scored by networks that were trained on the others."
    )
    if alone:
        said += f" {alone} image{'s' * (alone != 1)} of labels that only one image or group has always train."
    return said
