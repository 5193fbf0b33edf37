"""The verdict on a study in three sentences: what was made and how good it is, whether to use it, what would help."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from automl.final.evaluation.words import is_silent, weakest
from automl.final.evidence import words
from automl.final.evidence.delivery import Delivery
from automl.review.describe import HEAD_WORDS, delivered_kind, interval_words, named, score
from automl.review.progress import trials_words
from automl.review.report.advice import advice, first, has_learnt, wide_interval
from automl.review.report.facts import Facts, read_facts
from automl.review.studies import LOST_WORDS, StudyFolder
from automl.search.storage.kinds import FINE_TUNED, HEADS, ON_FEATURES, ON_PIXELS
from automl.spaces.architectures.factories import DEPTHS_WORDS

LEFT_OUT = "left out, as they would leak"  # in the note on copies of test images
DOUBT = ", so the score may be too good"  # in the finding of groups that were kept on both sides


@dataclass(frozen=True)
class Verdict:
    """The `state` is "good", "running" (no result yet) or "bad": not usable, or of several labels none is answered."""

    state: str
    sentences: tuple[str, ...]


def verdict(facts: Facts) -> Verdict:
    """Return the verdict on a study, of which every sentence follows from its files."""
    if not facts.result:
        return Verdict("running", _unfinished(facts))
    sentences = (_what(facts), _usable(facts), _help(facts))
    state = "good" if has_learnt(facts) else "bad"
    return Verdict(state, tuple(sentence for sentence in sentences if sentence))


def verdict_of(study: StudyFolder) -> tuple[str, ...]:
    """Return the sentences of a study's verdict: those of its result, or made from its files if that has none."""
    known = (study.result or {}).get("verdict")
    return tuple(map(str, known)) if known else verdict(read_facts(study)).sentences


def leaks(facts: Facts) -> list[str]:
    """Return the headlines of findings that make the score too good: those of rows that were not left out."""
    found = []
    handled = any(LEFT_OUT in note for note in facts.data.get("notes", ()))
    for one in facts.data.get("findings", ()):
        kind, headline = one.get("kind"), str(one["headline"])
        if (kind == "leak" and not handled) or (kind == "group_leak" and DOUBT in headline):
            found.append(headline.partition(DOUBT)[0])
    return found


def model_words(result: Mapping[str, Any]) -> str:
    """Return what a delivered model is: "a fine-tuned resnet18", "an ensemble of 3 models"."""
    members = result.get("retrain", {}).get("members")
    config, kind = named(words.delivered_config(result), result), delivered_kind(result)
    model = str(config.get("weights") or str(config.get("model", "network")).partition(".")[0])
    if members:
        soup = kind == Delivery.SOUP
        return f"a soup of {len(members)} {model}" if soup else f"an ensemble of {len(members)} models"
    if kind == Delivery.DISTILLED:
        return f"a {model} that learned from {_teacher_words(result, model)}"
    if kind == ON_PIXELS:
        return f"a {HEAD_WORDS}"
    if kind == ON_FEATURES:
        return f"a linear head on features of {model}" + (f" {DEPTHS_WORDS}" if config.get("depths") else "")
    return f"a fine-tuned {model}" if kind == FINE_TUNED else f"a {model} trained from scratch"


def _teacher_words(result: Mapping[str, Any], student: str) -> str:
    teacher = str(result["retrain"].get("teacher", {}).get("model", "")).partition(".")[0]
    if not teacher:
        return "a larger network"
    return f"a larger {teacher}" if student.partition(".")[0] == teacher else f"a {teacher}"


def _what(facts: Facts) -> str:
    result, held = facts.result, facts.held
    if held is None:
        return ""
    n, answer = result["data"]["n_holdout"], result.get("trivial_words", {}).get(facts.metric)
    beside = ""
    if answer is not None:
        beside = f", where the trivial answer ({answer}) has {score(result['trivial'][facts.metric])}"
    what = model_words(result)
    return (
        f"{what[:1].upper()}{what[1:]} has {facts.metric} {interval_words(held)} on {n:,} holdout images that "
        f"played no part in making it{beside}."
    )


def _usable(facts: Facts) -> str:
    result = facts.result
    unusable = words.not_usable(result)
    doubt = "".join(f" But the score may be too good: {said}." for said in leaks(facts))
    if unusable:
        return unusable
    beats = facts.metric in result.get("trivial_words", {})
    if is_silent(facts.evaluation):
        usable = (
            "It orders images better than the trivial answer, but it does not answer"
            if beats
            else "It does not answer"
        )
        return f"{usable}.{doubt} {weakest(facts.evaluation)}"
    said = "It is usable"
    if beats:
        said += ": it beats the trivial answer by more than chance explains"
    worst = weakest(facts.evaluation)
    return f"{said}.{doubt}" + (f" {worst}" if worst else "")


def _help(facts: Facts) -> str:
    evaluation = facts.evaluation
    if evaluation is None:
        return ""
    most, learnt = first(advice(facts)), has_learnt(facts)
    if most is not None and most.measured:
        return f"What would help most: {most.words}."
    if evaluation.task == "classification" and _errors(facts) == 0:
        return f"All {evaluation.n:,} holdout images are answered rightly, so only harder ones would show a weakness."
    if learnt:
        said = (
            "What would help most is not known: nothing here points to one cause of the errors that are left."
        )
    else:
        said = "What would help is not known: the errors of a model that has not learnt to answer point to nothing."
    if most is not None:
        said += f" Worth a try: {most.words}."
    return f"{said} {wide_interval(facts)}".strip() if learnt else said


def _errors(facts: Facts) -> int:
    assert facts.evaluation is not None
    confusion = facts.evaluation.confusion
    return sum(count for true, row in confusion.items() for said, count in row.items() if said != true)


def _unfinished(facts: Facts) -> tuple[str, ...]:
    history = facts.history
    trained = history.trained
    counts = Counter(str(row.state) for row in trained)
    heads = sum(row.kind in HEADS for row in history.rows)
    running = bool(facts.study.runner)
    said_of_trials = trials_words({"total": len(trained), **counts, "heads": heads}, running=running)
    said = [f"This study has no result yet{', a process runs it' if running else ''}: {said_of_trials}."]
    best = history.best
    if best is not None:
        said.append(
            f"The best trial so far is {best.trial} ({best.kind or 'a training'}), with {history.metric} "
            f"{score(best.value)} on the validation images; a score that the search chooses by is too good on average."
        )
    if facts.study.lost_result:
        said.append(f"There is no test score: {LOST_WORDS}.")
    elif facts.study.holdout_reads:
        said.append("The holdout has been read, and the result is not written yet.")
    else:
        said.append("The holdout has not been read, so there is no test score.")
    return tuple(said)
