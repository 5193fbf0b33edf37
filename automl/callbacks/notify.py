"""Tell callbacks what happens in a study. They are shielded: none of them can end it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from automl.callbacks.base import Callback, StudyInfo, TrialEnd, TrialInfo
from automl.errors import ConfigError, reason_of
from automl.records import Mode, Observer, PassedOn, Report, TrialEvent, TrialState
from automl.remote import is_remote
from automl.search.storage.kinds import kind_of
from automl.terminal.masking import mask_passwords

if TYPE_CHECKING:
    from automl.config import StudyConfig
    from automl.config.options import TuneOptions

_ENDED = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.UNFINISHED, TrialState.FAILED)
Result = TypeVar("Result")


@contextmanager
def told_of_study(
    observer: Observer, callbacks: Sequence[Callback], config: StudyConfig
) -> Iterator[Notifier]:
    """Give an observer that passes everything on to `observer`, and tells `callbacks` about the study of `config`.

    The study begins for them when its metric is known. Raises ConfigError for what is no callback.
    """
    directory = None if is_remote(config.directory) else config.study_dir
    given = {name: getattr(config, name) for name in sorted(config.model_fields_set - {"data", "storage"})}
    if not isinstance(config.space, str):
        given["space"] = "given in Python"
    options = _plain(given)
    study = StudyInfo(config.study, config.metric, "max", directory, options)
    notifier = Notifier(observer, _checked(callbacks), study)
    try:
        yield notifier
    finally:
        notifier.end(None)


@contextmanager
def told_of_tuning(
    observer: Observer, callbacks: Sequence[Callback], name: str, options: TuneOptions
) -> Iterator[Notifier]:
    """Give such an observer for `automl.tune`, whose metric is known from the start."""
    directory = None if (given := options.get("directory")) is None else Path(given)
    shown = _plain({key: value for key, value in options.items() if key not in ("storage", "directory")})
    study = StudyInfo(name, options.get("metric", ""), options.get("mode", "max"), directory, shown)
    notifier = Notifier(observer, _checked(callbacks), study)
    notifier.begin()
    try:
        yield notifier
    finally:
        notifier.end(None)


class Notifier(PassedOn):
    """An observer between a study and the observer that shows it."""

    def __init__(self, observer: Observer, callbacks: list[Callback], study: StudyInfo) -> None:
        super().__init__(observer)
        self._callbacks, self._study = callbacks, study
        self._open = False
        self._states: dict[int, TrialState] = {}
        self._rounds: dict[int, int] = {}

    def begin(self) -> None:
        """Tell that the study begins."""
        self._open = True
        self._tell(lambda callback: callback.on_study_start(self._study))

    def finished(self, result: Result) -> Result:
        """Tell that the study ended with a result, and return it."""
        self.end(result)
        return result

    def end(self, result: Any) -> None:
        """Tell that the study ended, unless it was told already or the study never began."""
        if self._open:
            self._open = False
            self._tell(lambda callback: callback.on_study_end(result))

    def metric(self, name: str, mode: Mode) -> None:
        """Pass on, and begin: what is compared is known now."""
        super().metric(name, mode)
        if not self._open:
            self._study = replace(self._study, metric=name, mode=mode)
            self.begin()

    def trial(self, event: TrialEvent) -> None:
        """Pass on, and tell what happened to the trial."""
        super().trial(event)
        trial = TrialInfo(event.trial, dict(event.config), kind_of(event.config))
        before = self._states.get(event.trial)
        rounds = self._rounds.get(event.trial, event.round if before is None else 0)
        self._states[event.trial], self._rounds[event.trial] = event.state, event.round
        if event.state is TrialState.RUNNING and before is not TrialState.RUNNING:
            if before is None and event.round == 0:
                self._tell(lambda callback: callback.on_trial_start(trial))
            else:
                self._tell(lambda callback: callback.on_promotion(trial, event.reason))
        if event.round > rounds and event.value is not None:
            report = Report(event.trial, event.round, event.value, event.seconds, event.metrics)
            self._tell(lambda callback: callback.on_report(trial, report))
        if event.state in _ENDED and before is not event.state:
            end = TrialEnd(event.state, event.value, event.round, event.reason)
            self._tell(lambda callback: callback.on_trial_end(trial, end))

    def _tell(self, call: Callable[[Callback], None]) -> None:
        """Call each callback. One that raises is left out from now on."""
        for callback in list(self._callbacks):
            try:
                call(callback)
            except (Exception, SystemExit) as error:
                self._callbacks.remove(callback)
                name = type(callback).__name__
                self.observer.note(
                    f"The callback {name} is left out from now on, because it failed: "
                    f"{type(error).__name__}: {reason_of(error)}."
                )


def _plain(options: Mapping[str, Any]) -> dict[str, str | float]:
    """Return options as numbers and text, without passwords."""
    return {
        name: value if isinstance(value, (int, float)) else mask_passwords(str(value))
        for name, value in options.items()
        if value is not None
    }


def _checked(callbacks: Sequence[Callback]) -> list[Callback]:
    """Return the callbacks. Raises ConfigError that names the first that is none."""
    if not isinstance(callbacks, (list, tuple)):
        raise ConfigError(f"callbacks must be a list of automl.callbacks.Callback, got {callbacks!r}")
    for callback in callbacks:
        if not isinstance(callback, Callback):
            hint = "; call it: callbacks=[TensorBoard()]" if isinstance(callback, type) else ""
            raise ConfigError(
                f"callbacks must hold objects of automl.callbacks.Callback, got {callback!r}{hint}"
            )
    return list(callbacks)
