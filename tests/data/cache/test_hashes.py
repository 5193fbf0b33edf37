"""Digests of many images."""

from __future__ import annotations

import hashlib

import numpy as np

from automl.data.cache.hashes import Digests


def _digests(*contents: bytes) -> Digests:
    octets = [hashlib.sha256(content).digest() if content else bytes(32) for content in contents]
    return Digests(np.frombuffer(b"".join(octets), dtype=np.uint8))


def test_digests_read_as_hexadecimal_texts_and_unknown_ones_as_nothing() -> None:
    found = _digests(b"a", b"", b"b")
    assert list(found) == [hashlib.sha256(b"a").hexdigest(), "", hashlib.sha256(b"b").hexdigest()]
    assert [found[i] for i in range(3)] == list(found)
    many = Digests(np.arange(5000 * 32).astype(np.uint8))
    assert list(many) == [many[i] for i in range(5000)]
    assert list(found[1:]) == list(found)[1:]
    assert found.known().tolist() == [True, False, True]


def test_equal_digests_share_their_first_row() -> None:
    found = _digests(b"x", b"a", b"x", b"b", b"a", b"x")
    assert found.first_rows().tolist() == [0, 1, 0, 3, 1, 0]
    assert _digests().first_rows().tolist() == []


def test_distinct_rows_leave_out_copies_and_unusable_ones() -> None:
    usable = np.array([False, True, True, True, True, False])
    assert _digests(b"x", b"a", b"x", b"b", b"a", b"x").distinct(usable).tolist() == [1, 2, 3]


def test_digests_are_equal_as_their_octets_are() -> None:
    assert _digests(b"a", b"b") == _digests(b"a", b"b") != _digests(b"b", b"a")
    assert hash(_digests(b"a")) == hash(_digests(b"a"))
