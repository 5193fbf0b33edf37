"""Images that are decoded at one size or at two: for trainings from scratch, and for pretrained networks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from automl.data.cache.cache import Cached
from automl.data.constants import DOWNSCALE_FROM
from automl.data.decoding.image_format import Target
from automl.data.sources.base import Source
from automl.data.sources.part import SourcePart
from automl.machine import Moment


@dataclass(frozen=True)
class Stored:
    """The decoded images, also at the larger size if there is one; `rows` if there was time for a part of them.

    `source` has the images that are decoded.
    """

    source: Source
    cached: Cached
    larger: Cached | None
    rows: npt.NDArray[np.int64] | None

    def release(self) -> None:
        """Let the images be evicted from the cache."""
        self.cached.hold.release()
        if self.larger is not None:
            self.larger.hold.release()


def decode_to_sizes(
    source: Source,
    small: Target,
    large: Target | None,
    until: Moment | None,
    decode: Callable[[Source, Target, Moment | None], Cached],
) -> Stored:
    """Decode to the larger size first: where it is twice the smaller one, that is scaled down from it.

    `decode` decodes to one size; `until` holds for the first one. Without time for two sizes, or room for the larger
    one, there is one.
    """
    begun = Moment.now()
    first = decode(source, small if large is None else large, until)
    part = decoded_part(source, first)
    if large is None:
        return Stored(part, first, None, first.rows)
    if first.streamed:  # no room for the larger size
        return Stored(part, decode(part, small, None), None, first.rows)
    if _time_for_another(large, small, begun, until):
        return Stored(part, decode(part, small, None), first, first.rows)
    return Stored(part, first, None, first.rows)


def decoded_part(source: Source, cached: Cached) -> Source:
    """Return the source of the images that are decoded: all, unless the time ended before."""
    return source if cached.rows is None else SourcePart(source, cached.rows)


def _time_for_another(large: Target, small: Target, begun: Moment, until: Moment | None) -> bool:
    """Return whether there is time for the smaller size: scaling down is quick, decoding again takes as long again."""
    if until is None or large.img_size >= DOWNSCALE_FROM * small.img_size:
        return True
    return Moment.now().after(begun) <= until.left()
