"""`automl resume`: resume a study."""

from __future__ import annotations

from typing import Any

import click

from automl.cli import completion
from automl.cli.options import (
    SectionCommand,
    State,
    directory_option,
    given,
    json_option,
    quiet_option,
    section,
    verbose_option,
)

_BEFORE = "as before"
budget = section("Budget")
resources = section("Resources")


@click.command("resume", cls=SectionCommand, short_help="Resume a study.")
@click.argument("study", shell_complete=completion.studies)
@directory_option
@section("Study")("--storage", "URL", _BEFORE, "Database of the search, with its password.")
@budget("--time-limit", "10m", _BEFORE, "Time from now on, in seconds or with a unit.")
@budget("--n-trials", "N", _BEFORE, "Most trials, finished ones included.")
@resources("--parallel", "N", _BEFORE, "Trials to run at the same time.")
@resources("--cpus-per-trial", "X", _BEFORE, "CPU cores per trial.")
@resources("--gpus-per-trial", "X", _BEFORE, "GPUs per trial; shares are allowed.")
@resources("--retrain-workers", "N", _BEFORE, "Processes that share the final training.")
@resources("--memory-limit", "8G", _BEFORE, "Memory for all trials together.")
@resources("--address", "ADDRESS", _BEFORE, "Ray cluster to run on.")
@resources("--engine", "NAME", _BEFORE, "ray, or local (one process, without Ray).")
@json_option("Print result.json on stdout at the end; progress goes to stderr.")
@quiet_option
@verbose_option
@click.pass_obj
def command(state: State, /, study: str, directory: str | None, **options: Any) -> int:
    """Resume STUDY after a stop or a crash, or with a higher limit.

    STUDY is the name of a study or its folder. Finished trials count and do not run again; others, also those that the
    time cut, continue from their last checkpoint. The exit code is 3 if the model is not better than the trivial
    answer.
    """
    from automl import config as configuration
    from automl.cli.run_study import run
    from automl.config.shortest_limit import check_time_limit, watch_start
    from automl.review.studies import find_study, require_own_name
    from automl.torch_setup import quiet_waiting

    found = find_study(study, directory or "studies")
    require_own_name(found)
    folder = found.directory
    changes = given(options)
    config = configuration.load(found.path / "study.yaml", study=found.name, directory=folder, **changes)
    check_time_limit(config, state.started)
    watch_start(config, state.started)

    def start(observer: Any) -> Any:
        quiet_waiting()
        from automl import pipeline

        return pipeline.resume(
            found.name, directory=folder, observer=observer, started=state.started, **changes
        )

    return run(config, start, state)
