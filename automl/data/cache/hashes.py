"""The SHA-256 digests of many images, kept as bytes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import overload

import numpy as np
import numpy.typing as npt

from automl.data.decoding.convert import DIGEST

# Rows that are converted to text together.
_AT_ONCE = 4096


class Digests(Sequence[str]):
    """Hexadecimal digests of (n, 32) bytes; "" for zeros, which mark bytes that could not be read.

    A list of texts would take four times the memory for the whole study.
    """

    def __init__(self, octets: npt.NDArray[np.uint8]) -> None:
        self.octets = np.ascontiguousarray(octets).reshape(-1, DIGEST)

    @overload
    def __getitem__(self, row: int) -> str: ...

    @overload
    def __getitem__(self, row: slice) -> Digests: ...

    def __getitem__(self, row: int | slice) -> str | Digests:
        if isinstance(row, slice):
            return Digests(self.octets[row])
        octets = self.octets[row].tobytes()
        return octets.hex() if any(octets) else ""

    def __iter__(self) -> Iterator[str]:
        unknown = (~self.known()).tolist()
        for start in range(0, len(self), _AT_ONCE):
            text = self.octets[start : start + _AT_ONCE].tobytes().hex()
            for row, begin in zip(range(start, len(self)), range(0, len(text), 2 * DIGEST), strict=False):
                yield "" if unknown[row] else text[begin : begin + 2 * DIGEST]

    def __len__(self) -> int:
        return len(self.octets)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Digests) and np.array_equal(self.octets, other.octets)

    def __hash__(self) -> int:
        return hash(self.octets.tobytes())

    def known(self) -> npt.NDArray[np.bool_]:
        """Return which rows have a digest (n,)."""
        return np.asarray(self.octets.any(axis=1))

    def first_rows(self) -> npt.NDArray[np.int64]:
        """Return for each row the first one with the same digest (n,)."""
        if not len(self):
            return np.empty(0, dtype=np.int64)
        words = self.octets.view(np.uint64)
        order = np.lexsort(words.T)
        new = np.ones(len(order), dtype=np.bool_)
        new[1:] = (words[order[1:]] != words[order[:-1]]).any(axis=1)
        # The sort is stable, so the first of equal rows comes first.
        first = np.empty(len(order), dtype=np.int64)
        first[order] = order[np.flatnonzero(new)[np.cumsum(new) - 1]]
        return first

    def distinct(self, usable: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
        """Return the first row of each digest among the usable rows, in order."""
        places = np.flatnonzero(usable)
        return places[np.unique(Digests(self.octets[places]).first_rows())]

    def ranks(self) -> npt.NDArray[np.int64]:
        """Return the position of each row in sorted order (n,); equal digests keep the order of their rows."""
        ranks = np.empty(len(self), dtype=np.int64)
        ranks[np.lexsort(self.octets.view(">u8").T[::-1])] = np.arange(len(self))
        return ranks
