"""`fit` and `resume`: the stages of a study, in order."""

from __future__ import annotations

import math
import shutil
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from automl.config import StudyConfig, load, save
from automl.data import open_source
from automl.errors import StorageError, StudyError, unknown_name
from automl.final.holdout import score_holdout
from automl.final.model_folder import write_model_folder
from automl.final.predictor import Predictor
from automl.final.retrain import Retrained
from automl.interrupt import ctrl_c_asks, sigterm_leaves
from automl.pipeline.clock import Clock
from automl.pipeline.device import ray_cpus
from automl.pipeline.final_model import OWN, Final, final_model, interrupted
from automl.pipeline.node_trial import node_trial, origin_of
from automl.pipeline.outcome import Outcome, is_done, keep_model, write_outcome
from automl.pipeline.setup import Setup, check, prepare
from automl.pipeline.suspects import write_suspects
from automl.pipeline.workspace import Workspace, open_workspace
from automl.records import Interval, Observer, OnFailure, Silent
from automl.remote import is_remote, look_at, names_at
from automl.result import FitResult
from automl.search import SearchResult, SearchSettings, search, warm_up
from automl.search.forget import forget_study
from automl.search.reasons import Code
from automl.search.trial_files import is_disk_full
from automl.torch_setup import quiet_waiting, set_threads
from automl.training.extent import MACS, PARAMS
from automl.training.metrics import standard_error


def fit(config: StudyConfig, *, observer: Observer | None = None, started: float | None = None) -> FitResult:
    """Search, retrain the best configuration, score the holdout once, and deliver the model.

    `started` is the moment (`time.time()`) from which the time limit counts; now, if not given. Running the same again
    continues the study; where nothing is left to do, the earlier result is returned. Raises UsageError for what the
    person has to change (nothing is left behind then) and RunError where something broke.
    """
    with sigterm_leaves():
        try:
            return _fit(config, observer or Silent(), Clock(config.time_limit, started))
        except (OSError, SafetensorError) as error:
            if not is_disk_full(error):
                raise
            raise StorageError(_no_room(config.study_dir)) from error


def _fit(config: StudyConfig, observer: Observer, clock: Clock) -> FitResult:
    quiet_waiting()
    check(config)
    workspace = open_workspace(str(config.directory), config.study, overwrite=config.overwrite)
    try:
        workspace.check_whole()
        # Opened before Ray is started, which takes seconds that a wrong path should not cost.
        source = open_source(config.data, target=config.target, task=config.task)
        with warm_up(config, cpus=ray_cpus(config), begin=not is_done(config, workspace)) as engine:
            room = engine.room() if config.address is not None else None
            setup = prepare(config, source, workspace, clock, observer, room=room)
            if config.overwrite and config.storage is not None:
                forget_study(config.storage, config.study)
            save(config, workspace.study_yaml)
            workspace.begin()
            clock.finish_stage("setup")
            with workspace.kept_up():
                return _run(setup, clock, observer, engine)
    except BaseException:
        if not workspace.study_yaml.is_file():  # written when everything was found to be usable
            workspace.abandon()
        raise
    finally:
        workspace.close()


def _run(setup: Setup, clock: Clock, observer: Observer, engine: Any) -> FitResult:
    """Everything of a study that has begun."""
    found = _search(setup, observer, engine)
    if setup.config.retrain_workers == 1:  # else they need it once more
        engine.release()
    clock.finish_stage("search")
    return _finish(setup, found, clock, observer)


def _no_room(place: Path) -> str:
    return (
        f"the disk of {str(place)!r} is full, and the study stopped as it stands: make room, then go on with "
        f"`automl resume {place.name}`"
    )


def resume(
    study: str,
    *,
    directory: str | Path = "studies",
    observer: Observer | None = None,
    started: float | None = None,
    **changes: Any,
) -> FitResult:
    """Continue a study from its study.yaml, with `changes` to its options (a higher n_trials, another time_limit).

    Raises StudyError when there is no such study.
    """
    remote = is_remote(directory)
    root = look_at(str(directory), study) if remote else Path(directory)
    path = root / study / "study.yaml"
    if not path.is_file():
        names = names_at(str(directory)) if remote else [p.parent.name for p in root.glob("*/study.yaml")]
        known = unknown_name("study", study, names) if names else f"no study {study!r}"
        raise StudyError(f"{known} in {str(directory)!r}; `automl fit` starts one")
    config = load(path, **{**changes, "study": study, "directory": directory})
    return fit(config, observer=observer, started=started)


def _search(setup: Setup, observer: Observer, engine: Any) -> SearchResult:
    config, device, info = setup.config, setup.device, setup.data.splits.info
    observer.stage("search", f"searching for the best {setup.metric.name}")
    settings = SearchSettings(
        study=config.study,
        metric=setup.metric.name,
        mode=setup.metric.mode,
        max_epochs=setup.budget.epochs,
        n_trials=config.n_trials,
        deadline=setup.plan.deadline,
        parallel=device.parallel,
        engine=config.engine,
        policy=config.policy,
        portfolio=setup.portfolio,
        suits=setup.suits,
        sampler=config.sampler,
        seed=config.seed,
        storage=config.storage or f"sqlite:///{setup.workspace.database}",
        directory=setup.workspace.root,
        max_disk=config.max_disk,
        address=config.address,
        cpus_per_trial=device.threads,
        gpus_per_trial=device.gpus_per_trial,
        deliver_anyway=True,
        expect=setup.expect,
        noise=lambda value: standard_error(setup.metric.name, value, info.class_counts, info.n_val),
        on_failure=OnFailure(config.on_failure),
        objectives={PARAMS: "min", MACS: "min"},
    )
    origin = origin_of(config, info)
    objective = partial(node_trial, splits=setup.data.splits, plan=setup.plan, origin=origin)
    return search(objective, setup.space, settings, observer, engine=engine)


def _finish(setup: Setup, found: SearchResult, clock: Clock, observer: Observer) -> FitResult:
    if found.stopped_for(Code.DISK_FULL):
        raise StorageError(_no_room(setup.workspace.root))
    if interrupted(found):
        observer.note(
            "Search stopped; the best so far is trained and delivered. Ctrl-C again leaves at once."
        )
    kept = keep_model(setup, found)
    if kept is not None:
        observer.note(
            "The best configuration has not changed: the delivered model and its holdout score stay."
        )
        return write_outcome(setup, found, clock, kept)
    if not math.isfinite(found.best.value):
        observer.note(
            "The time ended before any trial had a score: the first configuration is trained in what is left, "
            "and was compared with no other."
        )
    if found.ahead is not None:
        observer.note(
            f"Trial {found.ahead.trial} has the best score, but chance may have parted it from trial "
            f"{found.best.number}, which comes before it in the portfolio and is taken."
        )
    suspects = write_suspects(setup, found, clock)
    final = final_model(setup, found, clock, observer)
    if final.why:
        observer.note(f"{final.why[:1].upper()}{final.why[1:]}.")
    clock.finish_stage("retrain")
    with _nothing_to_stop(found, final, observer):
        return _hand_over(setup, found, clock, observer, final, suspects)


def _nothing_to_stop(found: SearchResult, final: Final, observer: Observer) -> AbstractContextManager[None]:
    """What is left takes seconds: the first Ctrl-C of a study changes nothing, and another leaves."""
    if interrupted(found) or final.stopped:
        return nullcontext()
    return ctrl_c_asks(lambda _: observer.note("Almost done; Ctrl-C again leaves at once."))


def _hand_over(
    setup: Setup, found: SearchResult, clock: Clock, observer: Observer, final: Final, suspects: str
) -> FitResult:
    """Write the model, score it on the holdout, and write down what came out."""
    observer.stage("holdout", "scoring the sealed holdout")
    workspace = setup.workspace
    _deliver(setup, found, final.trained)
    held = _open_holdout(setup, workspace, factory=str(found.best.config["model"]))
    clock.finish_stage("holdout")
    observer.stage("deliver", f"writing {workspace.root}")
    best = found.best
    outcome = Outcome(
        best_config=best.config,
        retrain=_described(final),
        holdout=held,
        reads=workspace.holdout_reads(),
        retrain_images=final.trained.images_trained,
        trial=best.number,
        same_length=final.how == OWN
        or (setup.plan.share == 1.0 and abs(final.trained.epochs - found.best_passes) < 1),
    )
    if suspects:
        observer.note(suspects)
    return write_outcome(setup, found, clock, outcome)


def _described(final: Final) -> dict[str, Any]:
    """What result.json says of the final training."""
    trained = final.trained
    return {
        "how": final.how,
        "why": final.why,
        "epochs": trained.epochs,
        "n_train": trained.n_train,
        "seconds": round(trained.seconds, 2),
    }


def _deliver(setup: Setup, found: SearchResult, final: Retrained) -> None:
    """Write the model beside an earlier one and put it in its place."""
    workspace = setup.workspace
    draft = workspace.root / ".model"
    shutil.rmtree(draft, ignore_errors=True)
    write_model_folder(
        draft, final.model, found.best.config, final.info, size=final.size, weights=final.weights
    )
    shutil.rmtree(workspace.model_dir, ignore_errors=True)
    draft.replace(workspace.model_dir)


def _open_holdout(setup: Setup, workspace: Workspace, *, factory: str) -> dict[str, Interval]:
    reads = workspace.count_holdout_read()
    set_threads(setup.device.all_threads)  # nothing else runs any more
    return score_holdout(
        Predictor.load(workspace.model_dir, factory=factory, device=setup.device.kind),
        setup.data.holdout,
        setup.metric.name,
        seed=setup.config.seed,
        again=reads > 1,
    )
