"""The loop of engines that run in this process: one slot a worker, one round at a time."""

from __future__ import annotations

import heapq
import os
import platform
from bisect import insort
from collections import OrderedDict
from dataclasses import dataclass, field, replace
from typing import Protocol

from automl.records import TrialState
from automl.search.control.coordinator import Coordinator
from automl.search.engines.cluster_resources import ClusterResources
from automl.search.engines.printed import printed
from automl.search.objective import Launch, Objective, Step, Stepper, cause_of
from automl.search.policy import Action, NextKind
from automl.search.reasons import crashed
from automl.search.storage.store import Worker

MAX_ALIVE = 256


class LoopClock(Protocol):
    """How an engine's time passes while rounds run."""

    def seconds(self, step: Step) -> float:
        """Return how long a round counts."""

    def advance(self, moment: float) -> bool:
        """Go to `moment`, in seconds since the loop began. Return whether what is due then still happens."""


class InProcess:
    """The part that engines without processes of their own share."""

    def resources(self) -> ClusterResources | None:
        """Return None: there is only this process."""
        return None

    def release(self) -> None:
        """Do nothing: nothing is held."""


@dataclass(order=True)
class Arrival:
    """A result, or the cause of a failure, that is due at `moment`. `order` breaks ties: who began earlier."""

    moment: float
    order: int
    slot: int = field(compare=False)
    number: int = field(compare=False)
    step: Step | None = field(compare=False)
    cause: str = field(compare=False, default="")


class EventLoop:
    """Runs each slot's rounds, and hands in results in the order of the slots' accumulated seconds.

    A round runs when its slot is free. Its result is held back until no other slot can come before it, so the same
    rounds with the same seconds lead to the same decisions, whether the seconds pass or are only counted.
    """

    def __init__(self, coordinator: Coordinator, objective: Objective, slots: int, clock: LoopClock) -> None:
        self._coordinator = coordinator
        self._objective = objective
        self._clock = clock
        self._free = list(range(slots))
        self._arrivals: list[Arrival] = []
        self._order = 0
        self._moment = 0.0
        self._running: dict[int, Stepper] = {}
        # Generators cannot be saved. Paused ones stay alive; the longest paused are dropped, and replayed if needed.
        self._alive: OrderedDict[int, Stepper] = OrderedDict()

    def run(self) -> None:
        """Run until the coordinator says FINISH and all results are in."""
        try:
            while self._fill() or self._arrivals:
                arrival = heapq.heappop(self._arrivals)
                self._moment = arrival.moment
                if not self._clock.advance(arrival.moment):
                    break
                self._hand_in(arrival)
        finally:
            for stepper in [*self._running.values(), *self._alive.values()]:
                stepper.close()

    def _fill(self) -> bool:
        """Give work to free slots. Return whether any slot is busy."""
        while self._free:
            choice = self._coordinator.next()
            slot = self._free[0]
            worker = Worker(f"slot {slot}", platform.node(), os.getpid())
            if choice.kind is NextKind.START:
                launch = self._coordinator.start(worker)
            elif choice.kind is NextKind.RESUME and choice.trial is not None:
                launch = self._coordinator.resume(choice.trial, choice.reason, worker)
            else:
                break
            self._free.pop(0)
            self._begin(slot, launch)
        return bool(self._arrivals)

    def _begin(self, slot: int, launch: Launch) -> None:
        stepper = self._alive.pop(launch.number, None)
        if stepper is None:
            try:
                with printed(launch.output):
                    stepper = Stepper(self._objective, launch)
            except Exception as error:
                self._expect(Arrival(self._moment, self._order, slot, launch.number, None, cause_of(error)))
                return
        self._running[launch.number] = stepper
        self._advance(slot, launch.number)

    def _advance(self, slot: int, number: int) -> None:
        try:
            stepper = self._running[number]
            with printed(stepper.launch.output):
                step = stepper.step()
        except Exception as error:
            self._expect(Arrival(self._moment, self._order, slot, number, None, cause_of(error)))
            return
        seconds = 0.0 if step.ended else self._clock.seconds(step)
        step = replace(step, seconds=seconds)
        self._expect(Arrival(self._moment + seconds, self._order, slot, number, step))

    def _expect(self, arrival: Arrival) -> None:
        self._order += 1
        heapq.heappush(self._arrivals, arrival)

    def _hand_in(self, arrival: Arrival) -> None:
        if arrival.step is None:
            decision = self._coordinator.failed(arrival.number, crashed(arrival.cause))
        else:
            decision = self._coordinator.report(arrival.number, arrival.step)
        if decision.action is Action.CONTINUE:
            self._advance(arrival.slot, arrival.number)
            return
        insort(self._free, arrival.slot)
        stepper = self._running.pop(arrival.number, None)
        if stepper is not None:
            live = self._coordinator.trials[arrival.number]
            unsaved = arrival.step is not None and live.ought_to_be_saved(arrival.step)
            if unsaved and stepper.save_if_possible():
                self._coordinator.saved(arrival.number)
            self._put_away(stepper, paused=decision.state is TrialState.PAUSED)

    def _put_away(self, stepper: Stepper, *, paused: bool) -> None:
        if not paused or stepper.can_save:
            stepper.close()
            return
        self._alive[stepper.launch.number] = stepper
        if len(self._alive) > MAX_ALIVE:
            _, oldest = self._alive.popitem(last=False)
            oldest.close()
