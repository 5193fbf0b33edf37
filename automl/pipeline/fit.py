"""`fit` and `resume`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Unpack

from safetensors import SafetensorError

from automl.config import StudyConfig, load
from automl.config.durations import format_duration
from automl.config.options import ResumeOptions
from automl.config.shortest_limit import SPARE, WORKING_S, refuse_shorter, start_is_over
from automl.data import open_data
from automl.errors import StorageError, StudyError, TimeLimitError, unknown_name
from automl.interrupt import current_command, orderly_interrupts
from automl.machine import Moment, check_working_folder, cores, ensure_home, slowdown
from automl.pipeline.clock import Clock
from automl.pipeline.context import Context, ledger_of
from automl.pipeline.costs.energy import metering
from automl.pipeline.decoding_time import least_seconds
from automl.pipeline.plan.constants import FEW_CORES, MAX_SLOWDOWN, RAY_FROM, RAY_STARTS
from automl.pipeline.plan.hardware import ray_cpus
from automl.pipeline.plan.limits.apply import limits_of
from automl.pipeline.plan.limits.asked import Asked
from automl.pipeline.results import is_done
from automl.pipeline.run import Run, no_room
from automl.pipeline.setup import check
from automl.pipeline.study_folder import open_workspace
from automl.records import Observer, Silent
from automl.remote import download_copy, is_remote, names_at
from automl.result import FitResult
from automl.review.studies import STUDY_FILE, study_folder, study_folders, study_name
from automl.search import warm_up
from automl.search.storage.checkpoints import is_disk_full
from automl.search.storage.sql.database import require_reachable
from automl.torch_setup import quiet_waiting


def fit(config: StudyConfig, *, observer: Observer | None = None, started: Moment | None = None) -> FitResult:
    """Search, retrain the best configuration, score the holdout once, and save the model.

    `started` is the moment from which the time limit counts, by default now. The same call again
    resumes the study, or returns its result if nothing is left to do. Raises UsageError for what the user must change
    (no files remain then) and RunError for other failures.
    """
    with orderly_interrupts():
        try:
            return _fit(config, observer or Silent(), Clock(config.time_limit, started))
        except (OSError, SafetensorError, StorageError) as error:
            elsewhere = isinstance(error, StorageError) and config.storage is not None  # on the server's disk
            if elsewhere or not is_disk_full(error):
                raise
            raise StorageError(no_room(config)) from error


def _fit(config: StudyConfig, observer: Observer, clock: Clock) -> FitResult:
    quiet_waiting()
    check_working_folder()
    ensure_home()
    check(config)
    loading = clock.elapsed()  # of the libraries
    if config.time_limit is not None and not config.study_dir.exists():
        # The libraries may have taken all the time: then nothing is read or made.
        refuse_shorter(config, clock.started, needed=SPARE * WORKING_S, slower=1.0)
    if config.storage is not None:
        require_reachable(config.storage)  # before any folder is made
    workspace = open_workspace(str(config.directory), config.study, overwrite=config.overwrite)
    if (command := current_command()) is not None:
        command.before_exit.append(workspace.abandon)
    try:
        workspace.check_whole()
        # Open the data first: a wrong path should not wait for the start of Ray.
        source = open_data(config.data, config.read_options)
        workspace.check_same_data(source.outline(), source.name, config)
        slower, context = slowdown(), Context(config, workspace, clock, observer)
        context = replace(context, ledger=ledger_of(context))
        if not is_done(config, workspace):
            try:
                refuse_shorter(config, clock.started, needed=least_seconds(source, slower), slower=slower)
            except TimeLimitError as error:
                return _as_it_was(context, error)
        start_is_over()
        context = _quickly(context, slower, loading)
        config = context.config
        begin = not is_done(config, workspace)
        with warm_up(
            config, cpus=ray_cpus(config), begin=begin, note=context.shorten, left=clock.remaining
        ) as engine:
            run = Run.prepare(context, source, engine)
            with (
                workspace.uploading(),
                metering(config.time_limit) as meter,
                ledger_of(context).keeping(meter),
            ):
                result = run.finish()
            if config.storage is None:
                workspace.check_database()
            return result
    except BaseException:
        workspace.abandon()
        raise
    finally:
        start_is_over()
        workspace.close()


def _as_it_was(context: Context, why: TimeLimitError) -> FitResult:
    """Return the result of an earlier run of the same study, which the time limit is too short to continue.

    Raises `why` if there is none, or if the options are those of another study.
    """
    config, workspace = context.config, context.workspace
    result, plan = workspace.read_result(), workspace.read_plan()
    if result is None or plan is None or not (workspace.model_dir / "config.json").is_file():
        raise why
    asked = {
        "space_name": config.space,
        "seed": config.seed,
        "pretrained": config.pretrained,
        "weights_licence": config.weights_licence,
        "val": f"cv:{config.folds}" if config.folds else "split",
    }
    chosen = {"metric": config.metric, "img_size": config.img_size, "resize": config.resize}
    asked |= {name: value for name, value in chosen.items() if value != "auto"}
    if any(plan.get(name, value) != value for name, value in asked.items()):
        raise why
    if limits_of(plan) != Asked.of(config):
        raise why
    context.observer.note(
        f"There is no time to continue the study, so its model and result stay as they are: {why}."
    )
    return FitResult(workspace.root, result, unchanged_after=context.clock.elapsed())


def _quickly(context: Context, slower: float, loading: float) -> Context:
    """Return the context of a run without Ray, if the time limit is too short for its start.

    `loading` is what this process took to load its libraries: each of Ray's workers takes as long.
    """
    config = context.config
    chosen = config.address is not None or config.memory_limit is not None or config.retrain_workers > 1
    if config.engine != "ray" or config.time_limit is None or chosen:
        return context
    shortest = RAY_FROM * min(MAX_SLOWDOWN, slower)
    if cores() <= FEW_CORES:
        shortest = max(shortest, RAY_STARTS * loading)
    if config.time_limit >= shortest:
        return context
    quick = config.model_copy(update={"engine": "local", "parallel": None, "cpus_per_trial": None})
    context = replace(context, config=quick, asked=config)
    context.shorten(
        f"Trials run one after the other in this process: Ray takes too long to start for limits below "
        f"{format_duration(round(shortest))} here."
    )
    return context


def resume(
    study: str,
    *,
    directory: str | Path = "studies",
    observer: Observer | None = None,
    started: Moment | None = None,
    **changes: Unpack[ResumeOptions],
) -> FitResult:
    """Resume a study from its study.yaml, with `changes` to its options (a higher n_trials, another time_limit).

    Raises StudyError if there is no such study.
    """
    return fit(resumed(study, directory, changes), observer=observer, started=started)


def resumed(study: str, directory: str | Path, changes: ResumeOptions) -> StudyConfig:
    """Return the configuration with which a study goes on. Raises StudyError if there is no such study."""
    remote = is_remote(directory)
    root = download_copy(str(directory), study) if remote else Path(directory)
    folder = study_folder(root / study)
    if folder is None:
        names = names_at(str(directory)) if remote else [study_name(path) for path in study_folders(root)]
        known = unknown_name("study", study, names) if names else f"no study {study!r}"
        raise StudyError(f"{known} in {str(directory)!r}; `automl fit` starts one")
    return load(folder / STUDY_FILE, **{**changes, "study": study, "directory": directory})
