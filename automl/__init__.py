"""AutoML for image models: the best model within a time limit, with an unbiased test score.

    result = automl.fit("photos/", time_limit="10m")
    result.holdout["accuracy"], result.best_config, result.predictor.predict(["new.jpg"])

Importing this package imports neither torch nor ray; names are loaded when they are first used.
"""

from __future__ import annotations

from automl._version import __version__

TYPE_CHECKING = False  # that of `typing`: nothing is imported before the first line of a command (automl/cli)
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path
    from typing import Any, Unpack

    from automl import callbacks as callbacks
    from automl.callbacks.base import Callback
    from automl.config import StudyConfig
    from automl.config.options import FitOptions, InspectOptions, ResumeOptions, TuneOptions
    from automl.data.quality.report import DataReport
    from automl.delivery.export.proof import Exported
    from automl.errors import AutomlError
    from automl.estimators.image_classifier import ImageClassifier
    from automl.estimators.image_regressor import ImageRegressor
    from automl.final.predictor import Predictor
    from automl.records import Observer
    from automl.result import FitResult
    from automl.search.objective import Objective
    from automl.search.space import Space
    from automl.search.tune import TuneResult
    from automl.spaces import SearchSpace

__all__ = [
    "AutomlError",
    "FitResult",
    "ImageClassifier",
    "ImageRegressor",
    "SearchSpace",
    "StudyConfig",
    "TuneResult",
    "__version__",
    "deliver",
    "export",
    "fit",
    "inspect",
    "load",
    "resume",
    "tune",
]

_HOMES = {
    "AutomlError": "automl.errors",
    "FitResult": "automl.result",
    "ImageClassifier": "automl.estimators.image_classifier",
    "ImageRegressor": "automl.estimators.image_regressor",
    "SearchSpace": "automl.spaces",
    "StudyConfig": "automl.config",
    "TuneResult": "automl.search.tune",
}


def fit(
    data: Any,
    labels: Any = None,
    *,
    progress: bool = True,
    observer: Observer | None = None,
    callbacks: Sequence[Callback] = (),
    **options: Unpack[FitOptions],
) -> FitResult:
    """Find the best model for the data, retrain it, score it on a sealed holdout and save it.

    `data` is a folder of class folders, a zip or tar of one, a manifest (.csv, .parquet), a DataFrame, a map-style
    torch Dataset, `"torchvision:NAME"`, `"hf:NAME"`, `"digits"`, a study.yaml, or images (N, H, W[, C]) and
    `labels` (N,) or (N, outputs).
    `options` are the fields of StudyConfig, which are also the flags of `automl fit`:
    `time_limit="10m"`, `n_trials=50`, `metric="f1"`, `space="cpu"` ... The same call again resumes the study.

    Progress is shown on stderr (in a notebook on stdout), live in a terminal. `progress=False` shows nothing, and an
    `observer` shows it its own way. `callbacks` are told of the study, its trials and their rounds
    (`automl.callbacks`); one that fails is left out and ends nothing. Random states, environment and warnings of this
    process are as before afterwards. Raises AutomlError, whose message says what to do.
    """
    from automl import config
    from automl.callbacks.notify import told_of_study
    from automl.config.shortest_limit import check_time_limit
    from automl.machine import Moment
    from automl.review.choose_view import view_in_python
    from automl.torch_setup import quiet_waiting
    from automl.training.hardware.process_state import process_state_kept

    started = Moment.now()  # loading the libraries counts
    settings = config.load(data if labels is None else (data, labels), **options)
    check_time_limit(settings, started)
    with (
        process_state_kept(),
        view_in_python(settings, observer, started=started, progress=progress) as shown,
        told_of_study(shown, callbacks, settings) as told,
    ):
        quiet_waiting()
        from automl import pipeline

        return told.finished(pipeline.fit(settings, observer=told, started=started))


def inspect(
    data: Any, labels: Any = None, *, observer: Observer | None = None, **options: Unpack[InspectOptions]
) -> DataReport:
    """Check the data before any training: unreadable files, duplicates, leaks, contradictory labels, rare classes.

    `data` and `labels` are as in `fit`; `options` are `target`, `task`, `img_size`, `seed` and
    `max_disk`. Nothing is changed.
    Raises DataError for data that cannot be read at all, and ConfigError for options that do not exist.
    """
    from automl.config.options import InspectOptions, check_options
    from automl.data.quality.inspect import inspect_data

    check_options(options, InspectOptions, own=("observer",))
    return inspect_data(data if labels is None else (data, labels), observer=observer, **options)


def resume(
    study: str,
    *,
    directory: str | Path = "studies",
    progress: bool = True,
    observer: Observer | None = None,
    callbacks: Sequence[Callback] = (),
    **changes: Unpack[ResumeOptions],
) -> FitResult:
    """Resume a study after a stop or a crash, or with a higher limit (`n_trials=100`, `time_limit="1h"`).

    Finished trials count and do not run again. `progress`, `observer` and `callbacks` are as in `fit`. Raises
    StudyError if there is no such study.
    """
    from automl.callbacks.notify import told_of_study
    from automl.machine import Moment
    from automl.review.choose_view import view_in_python
    from automl.torch_setup import quiet_waiting
    from automl.training.hardware.process_state import process_state_kept

    started = Moment.now()
    with process_state_kept():
        quiet_waiting()
        from automl import pipeline

        config = pipeline.resumed(study, directory, changes)
        with (
            view_in_python(config, observer, started=started, progress=progress) as shown,
            told_of_study(shown, callbacks, config) as told,
        ):
            return told.finished(pipeline.fit(config, observer=told, started=started))


def load(
    model: str | Path,
    *,
    directory: str | Path = "studies",
    factory: str | Callable[..., Any] | None = None,
    device: str = "cpu",
) -> Predictor:
    """Return the predictor of a finished study (its name or folder) or of a model folder, on `device` ("cuda").

    `factory` is the function that builds the network, or its name ("package.module:make"), if the search space named
    one. It is code, so the model folder alone must not decide that it runs.
    Raises ModelError if there is no such model, and ConfigError for a device that does not exist.
    """
    from automl.final.predictor import Predictor
    from automl.review.studies import find_model

    return Predictor.load(find_model(model, directory), factory=factory, device=device)


def deliver(
    study: str,
    *,
    trial: int | None = None,
    former: str | None = None,
    max_latency: float | str | None = None,
    max_size: int | str | None = None,
    max_params: float | str | None = None,
    directory: str | Path = "studies",
    data: Any = None,
    observer: Observer | None = None,
) -> FitResult:
    """Make another trial of a finished study its model, without a new search, and return the result.

    That is `trial`, or the best one by its validation score that keeps `max_latency` (one image, on this machine),
    `max_size` and `max_params`. It is scored on the holdout once more, and `holdout_reads` says how often that was. The
    model before is kept in the study's folder `models`, and `former`, the name of its folder there, makes it the model
    again, which reads nothing. `data` is for data that have moved, or were in memory. Raises StudyError and
    ConfigError, and changes nothing then, if no such model has weights.
    """
    from automl.pipeline.deliver import deliver as module
    from automl.pipeline.deliver.choose import Wish
    from automl.pipeline.plan.limits.asked import Asked

    limits = Asked.read(max_latency=max_latency, max_size=max_size, max_params=max_params)
    wish = Wish(trial, limits, former)
    return module.deliver(study, wish, directory=directory, data=data, observer=observer)


def export(
    model: str | Path,
    *,
    to: str,
    int8: bool = False,
    max_loss: float | None = None,
    out: str | Path | None = None,
    data: Any = None,
    directory: str | Path = "studies",
    factory: str | Callable[..., Any] | None = None,
) -> Exported:
    """Write a model in another format ("onnx", "openvino", "torch"), and prove that it answers as before.

    `model` is a study's name or folder, or a model folder. The file is run on the study's held-out images, or on
    those of `data` (anything labelled that `fit` takes): it is kept if its scores are the model's. `int8` makes it
    smaller and faster, and `max_loss` is how much of the metric that may cost. `out` is the folder to write, by
    default one beside the model's files. Raises ModelError if the file does not answer as the model does.
    """
    from automl.delivery.export.model import export_model

    return export_model(
        model,
        to=to,
        int8=int8,
        max_loss=max_loss,
        out=out,
        data=data,
        directory=directory,
        factory=factory,
    )


def tune(
    objective: Objective,
    space: Space | Mapping[str, Any],
    *,
    name: str = "tune",
    progress: bool | None = None,
    observer: Observer | None = None,
    callbacks: Sequence[Callback] = (),
    **options: Unpack[TuneOptions],
) -> TuneResult:
    """Search the configuration with the best `metric`, over any training loop.

    `objective(config)` is a generator that yields one dict an epoch, with the metric and perhaps `seconds` (of that
    epoch). It may also return an object with `step()`, `save(dir)`, `load(dir)` and perhaps `close()`, whose state
    survives a pause; a generator runs again up to the epoch it had reached. `space` is a SearchSpace or the dict that
    makes one.

    `metric` and `max_epochs` are needed, and at least one limit: `n_trials`, the total over all runs of a stored study,
    or `time_limit`, in seconds or as text such as "10m". `mode` is "max" or "min". `parallel` trials run at once under
    the `engine` "ray", "local" or "simulated". `storage` is a database URL; by default nothing is kept. `name` is that
    of the study in it, which may hold several. `policy` is a name or one of Optuna's pruners, `sampler` a name or one
    of Optuna's samplers, `portfolio` what is tried first. `objectives` are further numbers that every epoch yields,
    such as {"seconds_per_image": "min"}; they decide which trials are on the Pareto front.

    What the objective prints is shown; `directory` also keeps it, in trials/t0007/output.log, beside the trials' logs
    and checkpoints. A trial whose objective raises Optuna's TrialPruned counts as pruned, and one whose objective calls
    sys.exit as failed.

    Progress is shown as in `fit`, `progress=False` shows nothing; `callbacks` are told as in `fit`. By default nothing
    is shown under the simulated engine, whose time is not that of a clock. Raises AutomlError, whose message says what
    to do.
    """
    from automl.callbacks.notify import told_of_tuning
    from automl.config.options import TuneOptions, check_options
    from automl.review.choose_view import tune_view
    from automl.search.tune import tune as run

    own = ("name", "progress", "observer", "callbacks")
    check_options(options, TuneOptions, own=own, needed=("metric", "max_epochs"))
    shown = options.get("engine") != "simulated" if progress is None else progress
    with (
        tune_view(name, options, observer, progress=shown) as view,
        told_of_tuning(view, callbacks, name, options) as told,
    ):
        return told.finished(run(objective, space, name=name, observer=told, **options))


def __getattr__(name: str) -> Any:
    import importlib

    if name == "callbacks":
        return importlib.import_module("automl.callbacks")
    if name in _HOMES:
        value = getattr(importlib.import_module(_HOMES[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'automl' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, "callbacks"})
