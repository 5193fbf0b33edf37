"""A study whose time ends before any trial begins."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from automl import pipeline
from automl.pipeline.plan import plan as planning
from automl.pipeline.plan.budget import Budget, Work
from tests.pipeline.test_final_model import Notes
from tests.pipeline.test_fit import config_for

pytestmark = pytest.mark.study


@pytest.mark.alone
def test_first_configuration_is_trained_where_no_trial_ran(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none_for_the_search(work: Work, *, remaining: float | None, **options: Any) -> Budget:
        return Budget(3, 1e-6, 1.0, 1.0, 3)

    monkeypatch.setattr(planning, "make_budget", none_for_the_search)
    notes = Notes()
    result = pipeline.fit(config_for(tmp_path, n_trials=None, time_limit=60.0, epochs=None), observer=notes)
    assert any(note.startswith("No trial was scored: the first configuration") for note in notes.notes)
    document = result.to_json()
    assert document["trials"]["total"] == 0 and document["best"]["val_score"] is None
    assert document["best"]["config"]["model"]
    rows = (result.directory / "trials.csv").read_text(encoding="utf-8").splitlines()
    assert len(rows) == 2 and "head on pixels" in rows[1]  # the columns, and the head
    assert json.loads((result.directory / "result.json").read_text())["holdout_reads"] == 1
