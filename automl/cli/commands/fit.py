"""`automl fit`: search, retrain, score the holdout, save the model."""

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
    option,
    quiet_option,
    section,
    verbose_option,
)

study = section("Study")
budget = section("Budget")
limits = section("Limits of the model")
search = section("Search")
images = section("Data")
resources = section("Resources")


@click.command("fit", cls=SectionCommand, short_help="Find the best model for your images.")
@click.argument("data", shell_complete=completion.files)
@study("--study", "NAME", "name of the data", "Name of the study.")
@directory_option
@option(
    "--overwrite",
    section="Study",
    is_flag=True,
    default=None,
    help="Delete an existing study of this name first.",
)
@study(
    "--storage",
    "URL",
    "study.db in its folder",
    "Database of the search; several machines can share a server.",
)
@budget("--time-limit", "10m", "10m unless --n-trials", "Time for everything, in seconds or with a unit.")
@budget("--n-trials", "N", "no limit", "Most trials to run.")
@budget("--epochs", "N", "automatic", "Most epochs of a trial.")
@limits(
    "--max-latency",
    "20ms",
    "none",
    "Time of one image through the network on this machine, in ms or with a unit.",
)
@limits("--max-size", "10M", "none", "Size of the file with the weights in float32.")
@limits("--max-params", "5M", "none", "Number of parameters.")
@search(
    "--deliver",
    "WHAT",
    "single",
    "One model (single); where validation images show a gain, the mean of fine-tuned weights (soup) or of the answers "
    "of several models (ensemble); what is clearly better (auto); or the smallest network that learns to answer as "
    "well (small).",
)
@search(
    "--max-loss",
    "X",
    "automatic",
    "How much of the metric --deliver small may lose; automatic: 0.01 or half a standard error.",
)
@search("--space", "NAME|FILE", "auto", "Search space; see `automl spaces`.")
@search("--metric", "NAME", "auto", "Metric to optimise: accuracy, balanced_accuracy, f1, log_loss, ...")
@search("--task", "KIND", "auto", "classification, multilabel or regression.")
@search(
    "--balance",
    "HOW",
    "auto",
    "Help for rare classes: none, loss (higher weight), sampler (drawn more often).",
)
@search(
    "--pretrained",
    "WHEN",
    "auto",
    "Pretrained weights: auto (if they help), always, never, or a folder or file.",
)
@search(
    "--weights-licence",
    "NAMES",
    "permissive",
    "Licences that pretrained weights may have: permissive (Apache, MIT, BSD, CC0, CC-BY), any, or names a,b.",
)
@search("--warm-start", "STUDIES", "auto", "Earlier studies to learn from: auto, none, or names a,b.")
@search("--policy", "NAME", "auto", "Rule that stops weak trials early.")
@search("--sampler", "NAME", "auto", "Method that proposes configurations.")
@search(
    "--on-failure",
    "WHAT",
    "retry",
    "When a trial fails: retry (once, if its process died), skip, stop (after 5 in a row).",
)
@search("--seed", "N", "0", "Seed of all random numbers.")
@images("--target", "COLUMN", "automatic", "Column of a manifest to predict, or several: a,b.")
@images("--image-column", "COLUMN", "automatic", "Column of a manifest that names the images.")
@images(
    "--group-column",
    "COLUMN",
    "automatic",
    "Column of a manifest whose rows belong together: patients, plants, videos.",
)
@images("--img-size", "PIXELS", "auto", "Side of the square input images.")
@images(
    "--resize",
    "WAY",
    "auto",
    "How images become squares: crop (the centre), squeeze (the whole image), or auto: by a look at some.",
)
@images("--holdout", "SHARE", "0.2", "Share of the images kept for the final test.")
@images(
    "--val",
    "SHARE|cv",
    "0.2",
    "Share of the other images that trials are scored on, or cv (cv:K): all, by cross-validation in 5 (K) folds.",
)
@images("--on-bad-image", "WHAT", "skip", "Unreadable images: skip or error.")
@images(
    "--on-group-leak",
    "WHAT",
    "keep",
    "Groups on both sides of a given split: keep (told), drop their training rows, or redraw the split.",
)
@resources("--parallel", "N|auto", "automatic", "Trials to run at the same time.")
@resources("--cpus-per-trial", "X", "automatic", "CPU cores per trial.")
@resources("--gpus-per-trial", "X|auto", "automatic", "GPUs per trial, such as 0.25; auto decides by memory.")
@resources(
    "--retrain-workers", "N", "1", "Processes that share the final training, one GPU each if available."
)
@resources(
    "--precision", "NAME", "auto", "fp32, bf16, or auto: the faster one, measured once on this machine."
)
@resources("--memory-limit", "8G", "none", "Memory for all trials together.")
@resources("--max-disk", "20G", "20G", "Disk space for decoded images, and as much again for checkpoints.")
@resources("--address", "ADDRESS", "this machine", "Ray cluster to run on: auto or HOST:PORT.")
@resources("--engine", "NAME", "ray", "ray (short limits: local), or local (one process, without Ray).")
@json_option("Print result.json on stdout at the end; progress goes to stderr.")
@quiet_option
@verbose_option
@click.pass_obj
def command(state: State, /, data: str, **options: Any) -> int:
    """Find the best model for DATA, retrain it, score it on the sealed holdout, and save it.

    DATA is a folder of class folders, a zip or tar of one, a manifest (.csv or .parquet), torchvision:NAME or
    hf:NAME, the built-in set `digits`, or a study.yaml whose keys are these options (flags override it). The same
    command again resumes the study. The exit code is 3 if the model is not better than the trivial answer (such as
    always the largest class) by more than chance explains.
    """
    from automl import config as configuration
    from automl.cli.run_study import run
    from automl.config.shortest_limit import check_time_limit, watch_start
    from automl.torch_setup import quiet_waiting

    config = configuration.load(data, **given(options))
    check_time_limit(config, state.started)
    watch_start(config, state.started)

    def start(observer: Any) -> Any:
        quiet_waiting()
        from automl import pipeline

        return pipeline.fit(config, observer=observer, started=state.started)

    return run(config, start, state)
