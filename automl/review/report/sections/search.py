"""The search: who ran when and why it ended, the best over time, what matters, families, all trials."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from statistics import median

from markupsafe import Markup

from automl.config.durations import format_duration
from automl.records import TrialRow, TrialState
from automl.review.describe import config_words, counts_words, row_cells, score
from automl.review.evaluation.text import Table
from automl.review.report.charts.families import best_of, by_family, families_chart
from automl.review.report.charts.importance import Importance, importance, importance_chart
from automl.review.report.charts.parallel import parallel
from automl.review.report.charts.progress import FEWEST, RandomSearch, incumbent, progress, random_search
from automl.review.report.charts.timeline import bars, timeline
from automl.review.report.facts import Facts
from automl.review.report.history import History
from automl.review.tables import delivered_of, ranked
from automl.search.policy.base import Action
from automl.search.storage.kinds import HEADS

MOST_DECISIONS = 400


@dataclass(frozen=True)
class SearchSection:
    """What the section shows. `chosen` is the row of the trial that the delivered model is of."""

    summary: str
    problem: str
    timeline: Markup
    states: tuple[str, ...]
    progress: Markup
    reached: str
    random: str
    importance: Markup
    important: str
    families: Table | None
    families_chart: Markup
    parallel: Markup
    trials: Table | None
    chosen: int | None
    decisions: Table | None


def search_section(facts: Facts) -> SearchSection:
    """Return the section, also of a search that still runs."""
    history = facts.history
    known, found = importance(history), random_search(history)
    trivial = facts.result.get("best", {}).get("val_trivial")
    rows = ranked(history.rows, history.mode)
    return SearchSection(
        summary=_summary(facts),
        problem=history.problem,
        timeline=timeline(history),
        states=_states(history),
        progress=progress(history, trivial),
        reached=_reached(history),
        random=_random(history, found, by_chance=facts.study.config.get("sampler") == "random"),
        importance=importance_chart(known),
        important=_important(known),
        families=_families(history),
        families_chart=families_chart(history),
        parallel=parallel(history, [name for name, _ in known.shares]),
        trials=_trials(rows, history) if rows else None,
        chosen=_chosen(facts, rows),
        decisions=_decisions(history),
    )


def _summary(facts: Facts) -> str:
    history = facts.history
    trained = history.trained
    counts = Counter(str(row.state) for row in trained)
    heads = sum(row.kind in HEADS for row in history.rows)
    said = counts_words({"total": len(trained), **counts, "heads": heads})
    if not history.ended:
        return f"{said}."
    workers = len(history.workers)
    on = f" on {workers} worker{'' if workers == 1 else 's'}" if workers else ""
    rounds = sum(len(trial.reports) for trial in history.trials)
    took = f"{format_duration(round(history.ended))}{on} and {rounds:,} round{'' if rounds == 1 else 's'}"
    return f"{said}. {'It' if len(trained) == 1 else 'They'} took {took}."


def _states(history: History) -> tuple[str, ...]:
    """Return the states that bars of the timeline have, in the order of the legend."""
    known = {bar.state for bar in bars(history)}
    return tuple(str(state) for state in TrialState if str(state) in known)


def _reached(history: History) -> str:
    found = incumbent(history)
    if not found:
        return ""
    moment, value = found[-1]
    first = f"The first score came after {format_duration(round(found[0][0], 1))}"
    if len(found) == 1:
        return f"{first}, {score(value)}, and no later one was better."
    said = f"{first} ({score(found[0][1])}), the best one, {score(value)}, after {format_duration(round(moment, 1))}."
    highest = max((one for _, one in found), key=lambda one: history.sign * one)
    if score(highest) != score(value):
        said += (
            f" Scores up to {score(highest)} do not count any more: a trial counts by its latest score, which is the "
            "one of its weights."
        )
    return said


def _random(history: History, found: RandomSearch | None, *, by_chance: bool) -> str:
    """Return what the dashed line is, or why there is none; `by_chance`: the trials were drawn at random."""
    if found is None:
        return (
            f"What random search would have reached is not estimated: that needs {FEWEST} trials with a score and time "
            "for one of full length."
        )
    best, reached = score(incumbent(history)[-1][1]), score(found.curve[-1][1])
    apart = history.sign * (float(best) - float(reached))
    said = (
        f"{score(abs(apart))} {'better' if apart > 0 else 'worse'} than that" if apart else "as good as that"
    )
    full = history.full or max(trial.rounds for trial in history.trials)
    early = sum(trial.rounds < full for trial in history.trials if trial.reports)
    drawn = (
        "were drawn at random" if by_chance else "were chosen by the portfolio and the sampler, not at random"
    )
    return (
        f"Dashed: the expected best of as many random draws as the time holds if each trains in full "
        f"({format_duration(round(found.seconds, 1))}, {found.parallel} at once), {reached} at the end; the "
        f"search's best is {said}. This is an estimate (Dodge et al. 2019, section 3.1): its {found.draws} values are "
        f"the last ones of this study's own trials, which {drawn}" + _come_further(early) + "."
    )


def _come_further(early: int) -> str:
    if not early:
        return ""
    return f"; {early} of them {'was' if early == 1 else 'were'} stopped early and might have come further"


def _important(known: Importance) -> str:
    if known.why_not:
        return f"The importance of hyperparameters is not shown: {known.why_not}."
    return (
        f"From {known.trials} complete trials by PED-ANOVA (Watanabe et al. 2023): how much each hyperparameter that "
        "all of them have decides whether a trial is among the best tenth."
    )


def _families(history: History) -> Table | None:
    groups = by_family(history)
    if not groups:
        return None
    columns = ("family", "trials", f"best val {history.metric}", f"median val {history.metric}", "seconds")
    rows = []
    for name, members in groups:
        values = [row.value for row in members if row.value is not None]
        best = history.sign * best_of(members, history.sign)
        seconds = sum(row.seconds for row in members)
        rows.append((name, f"{len(members)}", score(best), score(median(values)), f"{seconds:.1f}"))
    return Table("Families of networks", columns, tuple(rows), columns[1:])


def _trials(rows: list[TrialRow], history: History) -> Table:
    sized = any("params" in row.objectives for row in rows)
    numbers = (f"val {history.metric}", "rounds", "epochs", "seconds", *(("params, M",) if sized else ()))
    columns = ("rank", "trial", "state", *numbers, "kind", "configuration", "reason")
    cells = tuple(_cells(rank, row, sized=sized) for rank, row in enumerate(rows, 1))
    return Table("All trials, the best first", columns, cells, ("rank", "trial", *numbers))


def _cells(rank: int, row: TrialRow, *, sized: bool) -> tuple[str, ...]:
    params = row.objectives.get("params")
    return (
        *row_cells(rank, row),
        *(("-" if params is None else f"{params / 1e6:.2f}",) if sized else ()),
        row.kind or "-",
        config_words(row.config, everything=True),
        row.reason,
    )


def _chosen(facts: Facts, rows: list[TrialRow]) -> int | None:
    if not facts.result:
        return None
    made = delivered_of(facts.result.get("retrain", {}), facts.result.get("best", {}).get("trial"))
    return next((k for k, row in enumerate(rows) if row.trial == made.trial), None)


def _decisions(history: History) -> Table | None:
    """Return the decisions but those to go on, in order of time."""
    shown = [event for event in history.events if event.trial >= 0 and event.action != Action.CONTINUE]
    if not shown:
        return None
    last = shown[-MOST_DECISIONS:]
    rows = tuple(
        (
            f"{event.time:.1f}",
            str(event.trial),
            event.action,
            event.state,
            str(event.round),
            str(event.reason),
        )
        for event in last
    )
    note = "" if len(last) == len(shown) else f"The last {len(last)} of {len(shown):,} decisions."
    columns = ("seconds", "trial", "decision", "state then", "round", "reason")
    return Table("Decisions of the search", columns, rows, ("seconds", "trial", "round"), note)
