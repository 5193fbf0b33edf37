"""The folds of a cross-validation: as files of rows, and drawn several times."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from automl.data.labelled_rows import Labelled
from automl.data.splits import TRAIN, VAL, Split, fold_numbers
from automl.errors import DataError
from automl.records import Fold, Rows

Index = npt.NDArray[np.int64]


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


@dataclass(frozen=True)
class RowFolds:
    """Folds of the rows outside of the holdout, for a cross-validation of models that are fitted in no time.

    `rows` (n,) are sorted rows of the data, `of` (repeats, n) has their folds, from 1, for each repeat; 0 for a row
    that is never left out. `scores_trials`: the first repeat has the folds that trials are scored on.
    """

    rows: Index
    of: Index
    scores_trials: bool = False

    def of_rows(self, rows: Index) -> Index:
        """Return the folds (repeats, m) of m rows, all of which are in `rows`, in their order."""
        return np.asarray(self.of[:, np.searchsorted(self.rows, rows)])


def repeated_folds(
    labelled: Labelled, split: Split, *, folds: int, repeats: int, seed: int
) -> RowFolds | None:
    """Return folds of the training and validation rows, drawn `repeats` times, with groups and copies together.

    Under cross-validation the first are those of `split`. Returns None if the rows are too few.
    """
    columns, searched = labelled.columns(), np.isin(split.parts, (TRAIN, VAL))
    drawn = [np.array(split.folds, dtype=np.int64)] if split.folds else []
    try:
        while len(drawn) < repeats:
            drawn.append(fold_numbers(columns, searched, folds, seed=seed, repeat=len(drawn)))
    except DataError:
        return None
    order = np.argsort(labelled.usable[searched])
    return RowFolds(
        labelled.usable[searched][order],
        np.stack([found[searched][order] for found in drawn]),
        scores_trials=bool(split.folds),
    )
