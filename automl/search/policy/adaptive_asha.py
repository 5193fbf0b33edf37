"""Successive halving whose first rung adapts to what the study shows."""

from __future__ import annotations

from collections.abc import Iterable

from automl.records import Report, TrialState
from automl.search.policy.asha import Asha
from automl.search.policy.base import Action, Decision, PolicyContext, TrialView
from automl.search.policy.first_rung import (
    RANKED_TRIALS,
    Curve,
    FirstRung,
    choose_first_rung,
    levels_around,
)
from automl.search.policy.rungs import FACTOR, Bracket, rung_rounds
from automl.search.reasons import Code, Reason


class AdaptiveAsha(Asha):
    """Asha with a first rung that moves to where early values rank trials well.

    The first rung is the usual one (6 % of the full length) until trials show otherwise (`choose_first_rung`). A
    trial keeps the first rung that it started with, so that it pauses only at rounds that its worker knows. It stands
    on earlier rungs, too, as a promoted trial: those that pause there are compared with all trials seen at that round.
    """

    def __init__(self, context: PolicyContext) -> None:
        usual = rung_rounds(context.max_rounds)
        super().__init__(context, [Bracket(levels_around(usual, FACTOR))])
        self._usual = usual[0]
        self._first: dict[int, int] = {}
        self._current: FirstRung | None = None

    def rungs(self, trial: int | None = None) -> tuple[int, ...]:
        """Return the rounds at which the trial is compared, and the full length. None: a new trial."""
        first = self.first_rung().round if trial is None else self._first.get(trial, self._usual)
        return tuple(round for round in self.brackets[0].rounds if round >= first)

    def first_rung(self) -> FirstRung:
        """Return where trials that start now are first compared, and why."""
        if self._current is None:
            levels = self.brackets[0].rounds
            curves = [
                Curve(
                    {level: self.loss(view.values[level]) for level in levels if level in view.values},
                    self._first.get(number, self._usual),
                    frozenset(level for level in levels if self.at_chance(view, level)),
                )
                for number, view in self.trials.items()
                if number < RANKED_TRIALS and view.state is not TrialState.FAILED
            ]
            self._current = choose_first_rung(curves, levels, self._usual)
        return self._current

    def started(self, trial: int, resumed: bool) -> None:
        if trial not in self._first:
            self._first[trial] = self._usual if resumed else self.first_rung().round
        super().started(trial, resumed)

    def report(self, report: Report) -> Decision:
        if report.trial < RANKED_TRIALS and report.round in self.brackets[0].rounds:
            self._current = None
        return super().report(report)

    def judge(self, view: TrialView, report: Report) -> Decision:
        """Compare at rungs, from the trial's own first rung on."""
        first = self._first.get(view.number, self._usual)
        rung = self.brackets[0].rungs.get(report.round)
        if rung is None or report.round >= first:
            return super().judge(view, report)
        rung.record(view.number, self.loss(report.value), self.scored(view, rung.round))
        rung.promote(view.number, compared=False)
        return Decision(Action.CONTINUE, TrialState.RUNNING, Reason(Code.BEFORE_FIRST_RUNG, {"first": first}))

    def dropped(self, view: TrialView) -> None:
        self._current = None
        super().dropped(view)

    def restore(self, past: Iterable[TrialView]) -> None:
        views = list(past)
        self._first = {view.number: view.first_rung or self._usual for view in views}
        self._current = None
        super().restore(views)

    def restored(self, view: TrialView) -> None:
        """Put an earlier trial on its rungs. From those before its first one it counts as promoted."""
        super().restored(view)
        if view.state is not TrialState.FAILED:
            for rung in self.brackets[0].rungs.values():
                if rung.round < self._first[view.number] and rung.round in view.values:
                    rung.promote(view.number, compared=False)

    def start_reason(self) -> Reason:
        """Note where the trial will first be compared, if that is not the usual rung."""
        why = self.first_rung().why
        return super().start_reason() if why is None else super().start_reason().with_notes(why)
