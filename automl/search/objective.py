"""Running an objective round by round, whether it is a generator or an object with `step`."""

from __future__ import annotations

import inspect
import math
import shutil
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from automl.errors import ConfigError, text_of
from automl.log import get_logger
from automl.records import Config
from automl.search.space import CONTROL_KEYS
from automl.search.storage.checkpoints import checkpoint_round, is_disk_full, publish_checkpoint
from automl.terminal.printable import printable

Objective = Callable[[Config], Any]
# Between its rungs a trial is saved as often as that takes at most this share of its time. Decision 83.
SAVING_SHARE = 0.03
LEAST_SAVING_S = 0.03  # seconds that saving counts at least, so that a trial is saved once a second at most
PRUNED = "optuna.exceptions.TrialPruned"
KEEP_SCORES = "keep_scores"  # a method of an objective: it takes the trial's folder and the round
# They are no `Exception`, and yet no wish of the user as KeyboardInterrupt is.
_ENDS = (SystemExit, GeneratorExit)
_NO_MORE = object()  # what an iterator gives at its end, as None may be what an epoch gives
_LONGEST_SHOWN = 100  # characters of what an objective gave

logger = get_logger(__name__)


@dataclass(frozen=True)
class Launch:
    """What an engine needs to run a trial: picklable, and small.

    `round` is where it continues (0: from the beginning). After `save_rounds` it is saved to `checkpoint`, and after
    others where that costs little. `output` is the file for what the objective prints, None for none.
    """

    number: int
    config: Config
    round: int
    checkpoint: Path
    save_rounds: frozenset[int]
    output: Path | None = None


@dataclass(frozen=True)
class Step:
    """The result of one round.

    `round` counts from 1. `seconds` are the objective's own, None if it reports none; `wall` was measured. `ended`: the
    objective has no more rounds, and there are no metrics. `done`: this was its last round, for the `reason` given.
    `interrupted`: the deadline cut it. `saved`: the state is in the checkpoint. `disk_full`: the disk had no room for
    it. `restarted`: why the trial began again, if its checkpoint could not be read. `pruned`: the objective raised
    Optuna's TrialPruned, and there are no metrics.
    """

    round: int
    metrics: Mapping[str, Any]
    seconds: float | None
    wall: float
    ended: bool = False
    done: bool = False
    interrupted: bool = False
    saved: bool = False
    reason: str = ""
    disk_full: bool = False
    restarted: str = ""
    pruned: bool = False


def check_objective(objective: Any) -> None:
    """Raise ConfigError for what cannot be called with a configuration, and for asynchronous functions."""
    if not callable(objective):
        raise ConfigError(
            f"objective must be a function of a configuration, got {shown(objective)}: pass the function itself, "
            "without calling it"
        )
    for called in (objective, type(objective).__call__):
        if inspect.iscoroutinefunction(called) or inspect.isasyncgenfunction(called):
            raise ConfigError(
                f"objective must be an ordinary function or generator, got the asynchronous {shown(objective)}: call "
                "asyncio.run inside of an ordinary one"
            )
    try:
        signature = inspect.signature(objective)
    except (TypeError, ValueError):  # of a class or function in C, which has none
        return
    try:
        signature.bind({})
    except TypeError as error:
        raise ConfigError(
            f"objective must take one argument, the configuration, got {shown(objective)} with the arguments "
            f"{signature} ({error}): give the others with functools.partial"
        ) from None


class Stepper:
    """A trial in a process: runs one round at a time, saves and loads.

    The objective is called with the configuration and returns an iterator of dicts (one a round), or an object with
    `step()` and perhaps `save(dir)`, `load(dir)` and `close()`. What cannot be loaded runs again up to its round.
    """

    saving_s: ClassVar[float] = 0.0  # what the last saving took in this process, of whatever trial

    def __init__(self, objective: Objective, launch: Launch) -> None:
        self.launch = launch
        self._objective = objective
        self._restarted = ""
        self._begin()
        self._go_to(launch.round)
        self._saved_at = time.perf_counter()

    @property
    def spent(self) -> bool:
        """Whether the objective asks that no other trial uses its process."""
        return bool(getattr(self._subject, "spent", False))

    @property
    def can_save(self) -> bool:
        """Whether the trial's state can be saved and loaded."""
        return hasattr(self._subject, "save") and hasattr(self._subject, "load")

    def step(self) -> Step:
        """Run one round, and save the state where that is due or cheap. Raises what the objective raises."""
        start = time.perf_counter()
        try:
            raw = self._advance()
        except Exception as error:
            if not _is_pruned(error):
                raise
            return Step(self.round, {}, None, time.perf_counter() - start, pruned=True)
        wall = time.perf_counter() - start
        if raw is None:
            return Step(self.round, {}, None, wall, ended=True)
        self.round += 1
        done, interrupted = bool(raw.get("done", False)), bool(raw.get("interrupted", False))
        metrics = {key: value for key, value in raw.items() if key not in CONTROL_KEYS}
        self._keep_scores(metrics)
        asked = bool(raw.get("save", False)) or (interrupted and bool(metrics))
        due = self.can_save and (self.round in self.launch.save_rounds or done or asked)
        saved = (due or self._is_cheap(metrics)) and self.save_if_possible()
        restarted, self._restarted = self._restarted, ""
        seconds, reason = _seconds(raw.get("seconds")), str(raw.get("reason", ""))
        return Step(
            round=self.round,
            metrics=metrics,
            seconds=seconds,
            wall=wall,
            done=done,
            interrupted=interrupted,
            saved=saved,
            reason=reason,
            disk_full=due and not saved,
            restarted=restarted,
        )

    def save(self) -> None:
        """Save the state. It replaces the last one at once, which stays beside it until the round is taken in."""
        begun = time.perf_counter()
        place = self.launch.checkpoint
        new = place.with_name(f".{place.name}-new")
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(parents=True)
        self._subject.save(new)
        publish_checkpoint(new, place, self.round)
        self._saved_at = time.perf_counter()
        Stepper.saving_s = self._saved_at - begun

    def save_if_possible(self) -> bool:
        """Save the state. Return False if it cannot be saved or the disk is full, which must not end the trial."""
        if not self.can_save:
            return False
        try:
            self.save()
        except Exception as error:
            if not is_disk_full(error):
                raise
            place = self.launch.checkpoint
            shutil.rmtree(place.with_name(f".{place.name}-new"), ignore_errors=True)
            return False
        return True

    def close(self) -> None:
        """Release what the trial holds. A generator that fails while it ends has its results already: it is logged."""
        close = getattr(self._subject, "close", None)
        if not callable(close):
            return
        try:
            close()
        except (Exception, *_ENDS) as error:
            logger.warning(
                "trial %d failed while it was closed: %s", self.launch.number, printable(cause_of(error))
            )

    def _keep_scores(self, metrics: Mapping[str, Any]) -> None:
        """Let a trial that has scores write them into its folder. They are for people: without them it goes on."""
        keep = getattr(self._subject, KEEP_SCORES, None)
        if not metrics or not callable(keep):
            return
        try:
            keep(self.launch.checkpoint.parent, self.round)
        except OSError as error:
            logger.warning("the scores of trial %d could not be kept: %s", self.launch.number, error)

    def _is_cheap(self, metrics: Mapping[str, Any]) -> bool:
        """Return whether saving takes a small share of the time since the last one. A round without values is none."""
        passed = time.perf_counter() - self._saved_at
        return bool(metrics) and max(LEAST_SAVING_S, Stepper.saving_s) <= SAVING_SHARE * passed

    def _begin(self) -> None:
        self.round = 0
        self._iterator: Iterator[Any] | None = None
        try:
            self._subject = self._objective(deepcopy(self.launch.config))  # it may change what it is given
        except _ENDS as error:
            raise _ended_by(error) from error
        except Exception as error:
            if not _is_pruned(error):
                raise
            self._subject, self._iterator = None, iter(partial(_raise, error), None)
            return
        if not hasattr(self._subject, "step"):
            self._iterator = _iterator(self._subject)

    def _go_to(self, round: int) -> None:
        place = self.launch.checkpoint
        saved = checkpoint_round(place) if round and self.can_save else 0
        if 0 < saved <= round:
            try:
                self._subject.load(place)
                self.round = saved
            except Exception as error:
                # A part may have been loaded, so a new subject begins again.
                self.close()
                self._begin()
                self._restarted = f"its checkpoint is damaged ({cause_of(error)})"
        while self.round < round and self._advance() is not None:
            self.round += 1

    def _advance(self) -> Mapping[str, Any] | None:
        try:
            return self._next()
        except _ENDS as error:
            raise _ended_by(error) from error

    def _next(self) -> Mapping[str, Any] | None:
        if self._iterator is None:
            try:
                raw = self._subject.step()
            except StopIteration:
                return None
        else:
            raw = next(self._iterator, _NO_MORE)
            if raw is _NO_MORE:
                return None
        if not isinstance(raw, Mapping):
            raise TypeError(f"each epoch of the objective must give a dict of metrics, got {shown(raw)}")
        return raw


def cause_of(error: BaseException) -> str:
    """Return the error in one line: its type, its message and where it was raised."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno} in {frames[-1].name})" if frames else ""
    message = " ".join(text_of(error).split())
    return f"{type(error).__name__}: {message}{where}" if message else f"{type(error).__name__}{where}"


def _is_pruned(error: Exception) -> bool:
    """Return whether an objective said so, without importing Optuna."""
    return any(f"{kind.__module__}.{kind.__name__}" == PRUNED for kind in type(error).__mro__)


def _ended_by(error: BaseException) -> RuntimeError:
    """Return the error of an objective that raised what ends a program or a coroutine: it ends its trial alone."""
    if isinstance(error, SystemExit):
        code = "" if error.code is None else repr(error.code)
        return RuntimeError(f"the objective called sys.exit({code})")
    return RuntimeError(f"the objective raised {type(error).__name__}")


def _raise(error: Exception) -> None:
    raise error


def _seconds(given: Any) -> float | None:
    if given is None:
        return None
    try:
        seconds = float(given)
    except (TypeError, ValueError, OverflowError):
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise ValueError(f"'seconds' of an epoch must be a finite number of at least 0, got {shown(given)}")
    return seconds


def _iterator(subject: Any) -> Iterator[Any]:
    if not isinstance(subject, (str, bytes, Mapping)):
        try:
            found: Iterator[Any] = iter(subject)
        except TypeError:  # also for arrays and tensors without dimensions, although they have __iter__
            if inspect.iscoroutine(subject):
                subject.close()  # or Python warns later that nobody awaited it
        else:
            return found
    raise TypeError(
        "the objective must return an iterator of dicts (one an epoch) or an object with step(), "
        f"got {shown(subject)}"
    )


def shown(value: Any) -> str:
    """Return what a value looks like, in one short line."""
    try:
        text = " ".join(repr(value).split())
    except Exception:  # whatever the code of a stranger's object raises
        text = f"an object of type {type(value).__name__}"
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."
