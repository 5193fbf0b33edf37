"""What a result reads from the folder of its study."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from automl.errors import StudyError
from automl.result import FitResult


def test_leaderboard_is_the_table_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "trials.csv").write_text("trial,val_accuracy\n3,0.75\n1,\n")
    board = FitResult(tmp_path, {}).leaderboard()
    assert board["trial"].tolist() == [3, 1]
    assert board["val_accuracy"].dropna().tolist() == [0.75]


@pytest.mark.parametrize("content", [None, b"", b"\xff\xfe\x00\x00", b'a,b\n"open'])
def test_leaderboard_that_cannot_be_read_is_named(content: bytes | None, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "trials.csv").write_bytes(content)
    with pytest.raises(StudyError, match=r"the trials must be in '.*trials.csv', which cannot be read"):
        FitResult(tmp_path, {}).leaderboard()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")
def test_leaderboard_does_not_wait_for_a_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "trials.csv")
    with pytest.raises(StudyError, match="not a file"):
        FitResult(tmp_path, {}).leaderboard()
