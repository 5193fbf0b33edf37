"""Which answers say how sure a delivered model may be: never those on rows that it was trained on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from automl.final.confidence.answers import ENOUGH, known_answers
from automl.final.evidence.candidates import Candidate
from automl.final.evidence.delivery import Delivery
from automl.records import Rows, SearchSplits
from automl.search.result import BestTrial
from tests.final.evidence.literals import INFO
from tests.final.evidence.test_candidates import HEAD, OWN, RETRAINED, TARGETS, candidate

N = len(TARGETS)
BEST = BestTrial(0, {"model": "m"}, 0.5, 1, None)


@pytest.fixture
def splits(tmp_path: Path) -> SearchSplits:
    """Validation rows with the targets of the candidates, in another order than the data."""
    order = np.arange(N)[::-1].copy()
    targets = np.empty(N, dtype=np.int64)
    targets[order] = TARGETS
    np.save(tmp_path / "targets.npy", targets)
    np.save(tmp_path / "index.npy", order)
    rows = Rows(tmp_path / "images.npy", tmp_path / "targets.npy", tmp_path / "index.npy", N)
    return SearchSplits(INFO, rows, rows)


def known(model: Candidate, entered: Sequence[Candidate], splits: SearchSplits) -> tuple[int, float]:
    """How many answers are known, and the share of them that is right."""
    found = known_answers(model.model, entered, BEST, splits)
    if found is None:
        return 0, 0.0
    return len(found.targets), float((found.scores.argmax(axis=1) == found.targets).mean())


def test_own_weights_and_heads_speak_for_themselves(splits: SearchSplits) -> None:
    own, head = candidate(OWN, 45), candidate(HEAD, 30)
    assert known(own, [own, head], splits) == (N, 0.75)
    assert known(head, [own, head], splits) == (N, 0.5)


def test_retrain_that_saw_the_rows_is_spoken_for_by_its_trial(splits: SearchSplits) -> None:
    own, retrain = candidate(OWN, 45), candidate(RETRAINED, N, seen=range(N))
    assert known(retrain, [retrain, own], splits) == (N, 0.75)
    assert known(retrain, [retrain], splits) == (0, 0.0)
    assert known(retrain, [], splits) == (0, 0.0)


def test_rows_that_were_kept_out_speak_for_a_retrain_if_they_are_enough_or_all_that_is_known(
    splits: SearchSplits, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, retrain = candidate(OWN, 45), candidate(RETRAINED, 10, seen=range(20, N))
    assert ENOUGH > 20 and known(retrain, [retrain, own], splits) == (N, 0.75)
    assert known(retrain, [retrain], splits) == (20, 0.5)
    monkeypatch.setattr("automl.final.confidence.answers.ENOUGH", 20)
    assert known(retrain, [retrain, own], splits) == (20, 0.5)


def test_rows_without_time_to_score_them_say_nothing(splits: SearchSplits) -> None:
    own = candidate(OWN, 45, rows=np.arange(0))
    assert known(own, [own], splits) == (0, 0.0)
    some = candidate(OWN, 45, rows=np.arange(40, 60))
    assert known(some, [some], splits) == (20, 0.25)
    assert some.name is Delivery.OWN_WEIGHTS
