"""Running out of memory is recognised, answered with fewer rows, and reported when it persists."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from automl.training.hardware import out_of_memory as memory
from automl.training.hardware.out_of_memory import MicroBatch, is_out_of_memory, parts_of


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"), True),
        (RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory"), True),
        (RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 8 bytes."), True),
        (MemoryError(), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_out_of_memory_is_distinguished_from_other_errors(error: Exception, expected: bool) -> None:
    assert is_out_of_memory(error) is expected


def test_allocator_of_this_machine_is_recognised() -> None:
    with pytest.raises(RuntimeError, match="memory") as caught:
        torch.empty(2**58, dtype=torch.uint8)
    assert is_out_of_memory(caught.value)


def test_rows_are_halved_until_they_fit_and_the_limit_stays() -> None:
    micro_batch, tried = MicroBatch(), []

    def attempt(rows: int) -> int:
        tried.append(rows)
        if rows > 10:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return rows

    assert micro_batch.fit(64, attempt) == 8
    assert tried == [64, 32, 16, 8] and micro_batch.halvings == 3
    assert micro_batch.fit(64, attempt) == 8 and micro_batch.halvings == 3
    assert micro_batch.fit(3, attempt) == 3


def test_two_rows_that_do_not_fit_raise_the_error() -> None:
    micro_batch, tried = MicroBatch(), []

    def attempt(rows: int) -> None:
        tried.append(rows)
        raise MemoryError("no room")

    with pytest.raises(MemoryError, match="no room"):
        micro_batch.fit(7, attempt)
    assert tried == [7, 4, 2]


def test_other_errors_are_raised_at_once() -> None:
    def attempt(rows: int) -> None:
        raise RuntimeError("shapes differ")

    with pytest.raises(RuntimeError, match="shapes differ"):
        MicroBatch().fit(64, attempt)


@pytest.mark.parametrize("keeps", [False, True])
def test_memory_that_does_not_come_back_is_reported(keeps: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "SLACK", 16 << 20)
    micro_batch, kept = MicroBatch(), []

    def attempt(rows: int) -> int:
        block = np.ones(64 << 17)  # 64 MiB
        if keeps:
            kept.append(block)
        if rows > 4:
            raise MemoryError
        return rows

    assert micro_batch.fit(8, attempt) == 4
    assert micro_batch.leaked is keeps


@pytest.mark.parametrize(
    ("n", "rows", "parts"), [(64, 64, 1), (64, 16, 4), (65, 16, 5), (3, 2, 1), (7, 2, 3), (1, 1, 1)]
)
def test_parts_have_at_least_two_rows(n: int, rows: int, parts: int) -> None:
    assert parts_of(n, rows) == parts
    assert min(len(part) for part in torch.zeros(n).tensor_split(parts)) >= min(2, n)
