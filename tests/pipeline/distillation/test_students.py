"""Which networks may learn from a teacher."""

from __future__ import annotations

import math
from dataclasses import replace

from automl.final.distillation.outcome import Size
from automl.pipeline.distillation.students import Student, of_each_size

TEACHER = Size("teacher", "m", 64, 1_000_000, 1e9, 4_000_000)


def student(share: float, value: float = math.nan, *, pretrained: bool = False) -> Student:
    """A student with this share of the teacher's multiplications, and as many parameters."""
    size = replace(TEACHER, words=f"{share:g}", macs=share * TEACHER.macs)
    return Student({"model": "m", "lr": 0.1, "pretrained": pretrained}, size, value)


def chosen(*found: Student, pretrained: bool = False, sign: float = 1.0) -> list[str]:
    return [one.size.words for one in of_each_size(found, TEACHER, pretrained=pretrained, sign=sign)]


def test_three_largest_sizes_are_tried_from_small_to_large() -> None:
    found = [student(share) for share in (0.5, 0.2, 0.05, 0.01, 0.001)]
    assert chosen(*found) == ["0.05", "0.2", "0.5"]
    assert chosen(*reversed(found)) == ["0.05", "0.2", "0.5"]


def test_of_a_size_the_better_score_counts_then_the_first() -> None:
    assert chosen(student(0.5), student(0.4, 0.7), student(0.3, 0.8)) == ["0.3"]
    assert chosen(student(0.5), student(0.4, 0.7), student(0.3, 0.8), sign=-1.0) == ["0.4"]
    assert chosen(student(0.3, 0.8), student(0.5, 0.8)) == ["0.3"]
    assert chosen(student(0.3), student(0.5)) == ["0.3"]


def test_students_begin_with_pretrained_weights_as_their_teacher_did() -> None:
    both = student(0.5, 0.9), student(0.4, 0.2, pretrained=True), student(0.1, 0.9)
    assert chosen(*both, pretrained=True) == ["0.4"]
    assert chosen(*both, pretrained=False) == ["0.1", "0.5"]
    assert chosen(*both[:1], pretrained=True) == ["0.5"]


def test_without_students_there_is_none() -> None:
    assert chosen() == []
