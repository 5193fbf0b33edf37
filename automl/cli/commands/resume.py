"""`automl resume`: go on with a study."""

from __future__ import annotations

from typing import Any

import click

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


@click.command("resume", cls=SectionCommand, short_help="Go on with a study.")
@click.argument("study")
@directory_option
@section("Study")("--storage", "URL", _BEFORE, "Database of the search, with its password.")
@budget("--time-limit", "10m", _BEFORE, "Time from now on, with a unit or in seconds.")
@budget("--n-trials", "N", _BEFORE, "Trials in total, the finished ones included.")
@resources("--parallel", "N", _BEFORE, "Trials at the same time.")
@resources("--cpus-per-trial", "X", _BEFORE, "CPU cores for each trial.")
@resources("--gpus-per-trial", "X", _BEFORE, "GPUs for each trial; shares are allowed.")
@resources("--retrain-workers", "N", _BEFORE, "Processes that share the final training.")
@resources("--memory-limit", "8G", _BEFORE, "Memory for all trials together.")
@resources("--address", "ADDRESS", _BEFORE, "Ray cluster to run on.")
@resources("--engine", "NAME", _BEFORE, "ray, or local: one process, no Ray.")
@json_option("One JSON object (what result.json holds) on stdout at the end; progress on stderr.")
@quiet_option
@verbose_option
@click.pass_obj
def command(state: State, /, study: str, directory: str | None, **options: Any) -> None:
    """Go on with STUDY after a stop or a crash, or with a higher limit.

    STUDY is the name of a study or its folder. Finished trials count and never run again; what had begun
    goes on from its last checkpoint.
    """
    from automl import config as configuration
    from automl.cli.run_study import run
    from automl.review.studies import find_study

    found = find_study(study, directory or "studies")
    folder = found.path.parent
    changes = given(options)
    config = configuration.load(found.path / "study.yaml", study=found.name, directory=folder, **changes)

    def start(observer: Any) -> Any:
        from automl import pipeline

        return pipeline.resume(
            found.name, directory=folder, observer=observer, started=state.started, **changes
        )

    run(config, start, state)
