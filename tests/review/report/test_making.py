"""What a study cost, and how it is made again."""

from __future__ import annotations

from dataclasses import replace

import pytest

from automl.review.report.facts import Facts, read_facts
from automl.review.report.model_look import Speed
from automl.review.report.sections.making import Look, core_hours, making
from automl.review.studies import StudyFolder


@pytest.fixture(scope="module")
def facts(leaves: StudyFolder) -> Facts:
    return read_facts(replace(leaves, plan={"parallel": 2, "threads_per_trial": 4}))


def test_core_hours_are_those_of_the_workers(facts: Facts) -> None:
    worked = replace(facts, result={**facts.result, "work": {"worker_s": 1800.0}})
    assert core_hours(worked) == pytest.approx(2.0)
    assert ("core hours of the search", "2, with 2 trials at once with 4 threads each") in making(
        worked, Look(), flags=""
    ).cost
    assert core_hours(facts) is None  # a result that does not say how long workers worked


def test_speed_and_size_are_told_with_how_they_were_measured(facts: Facts) -> None:
    rows = dict(making(facts, Look(Speed(12.345, 15, "cpu", 1), 1234, 5_000_000), flags="").model)
    assert rows["one answer takes"].startswith("12.3 ms (median of 15 on cpu with 1 thread, without decoding")
    assert rows["size"] == "1,234 parameters, 5.00 MB of weights"
    assert dict(making(facts, Look(why_not="no"), flags="").model)["not measured"] == "no"


def test_study_is_repeated_beside_itself_or_not_at_all(facts: Facts) -> None:
    said = making(facts, Look(), flags="")
    assert said.repeat == (f"automl fit {facts.study.path}/study.yaml --study leaves-again",)
    assert any(text.startswith("The same command gives a similar study") for text in said.repeatable)
    arrays = replace(facts, study=replace(facts.study, config={"n_trials": 3}, plan={"parallel": 1}))
    alone = making(arrays, Look(), flags="")
    assert (
        alone.repeat == ()
        and "The data were given in Python and are not part of the study." in alone.repeatable
    )
    assert any("gives the same trials and model" in text for text in alone.repeatable)


def test_licences_are_those_of_the_installed_versions(facts: Facts) -> None:
    versions = {"numpy": str(facts.result["versions"]["numpy"]), "timm": "0.0.1", "nothing": "1"}
    table = making(replace(facts, result={**facts.result, "versions": versions}), Look(), flags="").versions
    assert table is not None
    known = {row[0]: row[2] for row in table.rows}
    assert "BSD" in known["numpy"] and known["timm"] == "-" and known["nothing"] == "-"
