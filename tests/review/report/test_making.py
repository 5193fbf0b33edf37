"""What a study cost, and how it is made again."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec

import pytest

from automl.records import TrialRow, TrialState
from automl.review.report.facts import Facts, read_facts
from automl.review.report.model_look import Speed
from automl.review.report.sections.making import Look, core_hours, making
from automl.review.studies import StudyFolder
from automl.search.storage.kinds import ON_FEATURES


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
    assert said.repeat == (
        f"automl fit {facts.study.path}/study.yaml --study leaves-again --warm-start none",
    )
    assert any(text.startswith("This command gives a similar study") for text in said.repeatable)
    arrays = replace(facts, study=replace(facts.study, config={"n_trials": 3}, plan={"parallel": 1}))
    alone = making(arrays, Look(), flags="")
    assert (
        alone.repeat == ()
        and "The data were given in Python and are not part of the study." in alone.repeatable
    )


def repeatable(facts: Facts, **result: object) -> str:
    """What is said of a study that nothing but `result` keeps from being made again."""
    untimed = {"time": {"used_s": 5.0, "all_runs_s": 5.0}, **result}
    config = {"data": "leaves", "directory": "studies", "warm_start": "auto"}
    study = replace(facts.study, config=config, plan={"parallel": 1, "device": "cpu"})
    said = making(replace(facts, study=study, result={**facts.result, **untimed}), Look(), flags="")
    return " ".join([*said.repeat, *said.repeatable])


def test_same_model_is_promised_only_where_nothing_speaks_against_it(facts: Facts) -> None:
    alone, folder = repeatable(facts), facts.study.path.parent
    assert "This command on the same machine and versions gives the same trials and model." in alone
    assert f"--directory {folder} --warm-start none" in alone
    warm = repeatable(facts, warm_start=["early"])
    assert "--warm-start" not in warm and "its first trials come from earlier studies (early)" in warm
    resumed = repeatable(facts, command="/opt/automl/__main__.py resume leaves --directory studies")
    assert "It was resumed, the last time by: automl resume leaves --directory studies" in resumed
    assert "it was stopped or ended, and then resumed" in resumed
    assert "Ctrl-C ended its search" in repeatable(facts, stopped="search")
    for said in (warm, resumed, repeatable(facts, stopped="search")):
        assert "similar study" in said and "gives the same trials" not in said


@pytest.mark.parametrize("program", ["/x/automl/__main__.py", "/env/bin/automl", "automl"])
def test_command_is_shown_as_it_is_typed(facts: Facts, program: str) -> None:
    assert "It was made by: automl fit leaves --seed 3" in repeatable(
        facts, command=f"{program} fit leaves --seed 3"
    )
    assert "It was made in Python, by a program with the command line: my-automl.py 3" in repeatable(
        facts, command="my-automl.py 3"
    )


def test_model_that_is_not_usable_is_not_offered_without_a_word(facts: Facts) -> None:
    assert making(facts, Look(), flags="").warning == ""
    bad = making(replace(facts, result={**facts.result, "usable": False}), Look(), flags="")
    assert bad.warning.startswith("Do not rely on its answers. Not usable: accuracy 0.85")


def test_linear_head_is_described_by_its_own_hyperparameters(facts: Facts) -> None:
    trained = {"model": "resnet10t", "pretrained": True, "size": 64, "opt": "adamw", "ema": 0.99}
    own = {"model": "resnet10t", "pretrained": True, "estimator": "logistic regression", "strength": 0.1}
    row = TrialRow(99, TrialState.COMPLETE, 0.9, 0, 1.0, own, kind=ON_FEATURES)
    retrain = {**facts.result["retrain"], "how": "linear head", "trial": 99, "config": trained}
    head = replace(facts, result={**facts.result, "retrain": retrain})
    listed = replace(head, history=replace(facts.history, rows=(*facts.history.rows, row)))
    said = dict(making(listed, Look(), flags="").model)["configuration"]
    assert "logistic regression, strength 0.1" in said and "adamw" not in said
    unlisted = dict(making(head, Look(), flags="").model)["configuration"]
    assert unlisted == "resnet10t, pretrained, at 64 px"


def test_licences_are_those_of_the_installed_versions(facts: Facts) -> None:
    versions = {"numpy": str(facts.result["versions"]["numpy"]), "timm": "0.0.1", "nothing": "1"}
    table = making(replace(facts, result={**facts.result, "versions": versions}), Look(), flags="").versions
    assert table is not None
    known = {row[0]: row[2] for row in table.rows}
    assert "BSD" in known["numpy"] and known["timm"] == "-" and known["nothing"] == "-"


@pytest.mark.skipif(find_spec("importlib_metadata") is None, reason="the backport is not installed")
def test_licences_are_found_beside_the_backport_of_importlib_metadata() -> None:
    # It takes over for the whole process, as it does in a study whose libraries load it.
    code = (
        "import importlib.metadata, importlib_metadata\n"
        "from automl.review.report.sections.making import _licence\n"
        "known = {one.name: _licence(one.name, one.version) for one in importlib.metadata.distributions()}\n"
        "print('BSD' in known['numpy'], '-' in known.values())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["True", "True"], done.stderr[-500:]
