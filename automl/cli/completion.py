"""What the shell offers after Tab: studies, search spaces, metrics and tasks. Nothing here waits for a network.

The functions are `shell_complete` of click's arguments and options. They import only when the shell asks.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, get_args

if TYPE_CHECKING:
    import click
    from click.shell_completion import CompletionItem


def studies(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer the studies of `--directory`, and files."""
    from automl.remote import is_remote
    from automl.review.studies import study_folders, study_name

    directory = ctx.params.get("directory") or "studies"
    names = [] if is_remote(directory) else [study_name(folder) for folder in study_folders(directory)]
    return [*_beginning(names, incomplete), *files(ctx, _, incomplete)]


def spaces(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer the search spaces that come with automl, and files."""
    from automl.spaces import presets

    return [*_beginning(presets(), incomplete), *files(ctx, _, incomplete)]


def files(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer files and folders."""
    from click.shell_completion import CompletionItem

    return [CompletionItem(incomplete, type="file")]


def metrics(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer the metrics."""
    from automl.config.metrics import METRICS

    return _beginning(METRICS, incomplete)


def tasks(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer the tasks."""
    from automl.records import Task

    return _beginning(["auto", *get_args(Task)], incomplete)


# What an option offers, by its flag.
OF_FLAG = {
    "--space": spaces,
    "--metric": metrics,
    "--task": tasks,
    **dict.fromkeys(("--directory", "--pretrained", "--csv", "--html", "--out"), files),
}


def _beginning(names: Iterable[str], incomplete: str) -> list[CompletionItem]:
    from click.shell_completion import CompletionItem

    return [CompletionItem(name) for name in names if name.startswith(incomplete)]
