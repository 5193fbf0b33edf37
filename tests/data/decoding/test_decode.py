"""Decoding of all rows."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from automl.data.decoding.decode import decode_all
from automl.data.decoding.image_format import Target
from automl.data.sources.arrays import ArraySource


def _source(n: int) -> ArraySource:
    pixels = np.random.default_rng(0).integers(0, 256, (n, 4, 4), dtype=np.uint8)
    return ArraySource(pixels, [0, 1] * (n // 2))


def test_more_rows_than_wait_at_once_are_all_decoded_and_reported() -> None:
    n = 2000
    images = np.zeros((n, 4, 4, 1), dtype=np.uint8)
    steps: list[int] = []
    source = _source(n)
    found = decode_all(source, Target(4, 1), images, lambda done, total: steps.append(done))
    assert steps == sorted(steps)
    assert steps[-1] == n
    assert np.array_equal(images[1234, :, :, 0], np.asarray(source.load(1234)))
    assert found.reasons == {}
    assert len(np.unique(found.findings.digests, axis=0)) == n


def test_interrupt_stops_the_threads() -> None:
    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    images = np.zeros((2000, 4, 4, 1), dtype=np.uint8)
    with pytest.raises(KeyboardInterrupt, match="^$"):
        decode_all(_source(2000), Target(4, 1), images, interrupt)
    assert not any(thread.name.startswith("decode") for thread in threading.enumerate())
    assert not images[-1].any()
