"""`automl fit`: search, retrain, score the holdout, deliver."""

from __future__ import annotations

from typing import Any

import click

from automl.cli.options import (
    SectionCommand,
    State,
    directory_option,
    given,
    json_option,
    option,
    quiet_option,
    section,
    verbose_option,
)

study = section("Study")
budget = section("Budget")
search = section("Search")
images = section("Data")
resources = section("Resources")


@click.command("fit", cls=SectionCommand, short_help="Search, retrain, score the holdout, deliver a model.")
@click.argument("data")
@study("--study", "NAME", "name of the data", "Name of the study.")
@directory_option
@option(
    "--overwrite", section="Study", is_flag=True, default=None, help="Delete the study of this name first."
)
@study("--storage", "URL", "study.db in its folder", "Database of the search, where several machines look.")
@budget("--time-limit", "10m", "10m unless --n-trials", "Time for everything, with a unit or in seconds.")
@budget("--n-trials", "N", "no limit", "Trials in total.")
@budget("--epochs", "N", "automatic", "Most epochs that a trial may train.")
@search("--space", "NAME|FILE", "auto", "Search space; see `automl spaces`.")
@search("--metric", "NAME", "auto", "What to optimise: accuracy, balanced_accuracy, f1, log_loss, ...")
@search("--task", "KIND", "auto", "classification, multilabel or regression.")
@search(
    "--balance", "HOW", "auto", "For rare classes: none, loss (they weigh more), sampler (drawn more often)."
)
@search(
    "--pretrained",
    "WHEN",
    "auto",
    "Begin with weights: auto (where they help), always, never, or a folder of them.",
)
@search("--warm-start", "STUDIES", "auto", "auto, none, or names of earlier studies to begin from: a,b.")
@search("--policy", "NAME", "auto", "How weak trials are stopped early.")
@search("--sampler", "NAME", "auto", "How configurations are proposed.")
@search(
    "--on-failure",
    "WHAT",
    "retry",
    "When a trial breaks: retry (once, if its process was lost), skip, stop (after 5 in a row).",
)
@search("--seed", "N", "0", "Seed of every random draw.")
@images("--target", "COLUMN", "automatic", "Column of a manifest to learn, or several: a,b.")
@images("--img-size", "PIXELS", "auto", "Side of the square images that models see.")
@images("--holdout", "SHARE", "0.2", "Share of the images that is sealed until the end.")
@images("--val", "SHARE", "0.2", "Share of the rest that trials are scored on.")
@images("--on-bad-image", "WHAT", "skip", "skip unreadable images, or error.")
@resources("--parallel", "N|auto", "automatic", "Trials at the same time.")
@resources("--cpus-per-trial", "X", "automatic", "CPU cores for each trial.")
@resources(
    "--gpus-per-trial",
    "X|auto",
    "automatic",
    "GPUs for each trial, such as 0.25; auto packs by memory.",
)
@resources(
    "--retrain-workers", "N", "1", "Processes that share the final training, a GPU each where there are any."
)
@resources("--memory-limit", "8G", "none", "Memory for all trials together.")
@resources("--max-disk", "20G", "20G", "Disk for decoded images, and as much for checkpoints.")
@resources("--address", "ADDRESS", "this machine", "Ray cluster to run on: auto or HOST:PORT.")
@resources("--engine", "NAME", "ray", "ray, or local: one process, no Ray.")
@json_option("One JSON object (what result.json holds) on stdout at the end; progress on stderr.")
@quiet_option
@verbose_option
@click.pass_obj
def command(state: State, /, data: str, **options: Any) -> None:
    """Search the best model for DATA, retrain it, score it on the sealed holdout, and deliver it.

    DATA is a folder of class folders, a zip or tar of one, a manifest (.csv or .parquet), torchvision:NAME or
    hf:NAME, the built-in set `digits`, or a study.yaml whose keys are these options (flags override it). Running
    the same command again goes on with the study.
    """
    from automl import config as configuration
    from automl.cli.run_study import run

    config = configuration.load(data, **given(options))

    def start(observer: Any) -> Any:
        from automl import pipeline

        return pipeline.fit(config, observer=observer, started=state.started)

    run(config, start, state)
