"""The root command. It imports commands only when they run, so that `--help` does not wait for torch."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from automl._version import __version__
from automl.cli.options import HELP
from automl.cli.output import output_problem, say
from automl.errors import ReaderGoneError, unknown_name
from automl.machine import check_working_folder

COMMANDS = {
    "fit": "automl.cli.commands.fit",
    "resume": "automl.cli.commands.resume",
    "inspect": "automl.cli.commands.inspect",
    "list": "automl.cli.commands.list",
    "show": "automl.cli.commands.show",
    "leaderboard": "automl.cli.commands.leaderboard",
    "report": "automl.cli.commands.report.command",
    "dashboard": "automl.cli.commands.dashboard",
    "predict": "automl.cli.commands.predict",
    "evaluate": "automl.cli.commands.evaluate.command",
    "spaces": "automl.cli.commands.spaces",
    "weights": "automl.cli.commands.weights.group",
    "export": "automl.cli.commands.export.command",
    "deliver": "automl.cli.commands.deliver.command",
    "serve": "automl.cli.commands.serve.command",
    "portfolio": "automl.cli.commands.portfolio",
    "doctor": "automl.cli.commands.doctor",
}


class LazyGroup(click.Group):
    """A group whose commands are the objects `command` of the modules above."""

    def make_context(self, *args: Any, **extra: Any) -> click.Context:
        with _reader_gone_told():
            return super().make_context(*args, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        with _reader_gone_told():
            return super().invoke(ctx)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(COMMANDS[cmd_name]).command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in COMMANDS and not args[0].startswith("-"):
            raise click.ClickException(unknown_name("command", args[0], COMMANDS))
        return super().resolve_command(ctx, args)


@contextmanager
def _reader_gone_told() -> Iterator[None]:
    """Raise ReaderGoneError where click prints a help page to nobody: it would make exit code 1 of that."""
    try:
        yield
    except BrokenPipeError as error:
        raise ReaderGoneError(output_problem(error)) from error


@click.group(
    cls=LazyGroup,
    invoke_without_command=True,
    context_settings=HELP,
    epilog="First run: automl fit digits --time-limit 3m",
)
@click.version_option(__version__, message="automl %(version)s")
@click.pass_context
def root(ctx: click.Context) -> None:
    """Find the best image model within a time limit, and measure it with an unbiased test score."""
    if ctx.invoked_subcommand is None:
        say(ctx.get_help())
    else:
        check_working_folder()  # without one, libraries end the process
