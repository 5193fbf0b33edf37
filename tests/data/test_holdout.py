"""The sealed holdout."""

from __future__ import annotations

import copy
import pickle

import pytest

from automl.data.holdout import Holdout
from automl.errors import HoldoutError
from automl.records import Rows
from tests.data.conftest import MakeRows


def test_holdout_opens_once(make_rows: MakeRows) -> None:
    rows, _ = make_rows()
    holdout = Holdout(rows)
    assert (len(holdout), holdout.reads) == (10, 0)
    assert holdout.open() is rows
    with pytest.raises(HoldoutError, match=r"opened already \(reads: 1\)"):
        holdout.open()
    assert holdout.reads == 1


def test_holdout_opened_again_is_counted(make_rows: MakeRows) -> None:
    holdout = Holdout(make_rows()[0])
    holdout.open()
    holdout.open(again=True)
    assert repr(holdout) == "Holdout(10 rows, reads=2)"


def test_holdout_cannot_be_pickled_or_copied(make_rows: MakeRows) -> None:
    holdout = Holdout(make_rows()[0])
    with pytest.raises(HoldoutError, match="cannot be pickled"):
        pickle.dumps(holdout)
    with pytest.raises(HoldoutError, match="cannot be pickled or copied"):
        copy.copy(holdout)


def test_holdout_is_no_rows(make_rows: MakeRows) -> None:
    assert not isinstance(Holdout(make_rows()[0]), Rows)
