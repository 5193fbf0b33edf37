"""Options grouped in sections with their defaults shown, and the options that commands share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import click

from automl import log
from automl.cli.completion import OF_FLAG
from automl.machine import Moment

HELP: dict[str, Any] = {"help_option_names": ["-h", "--help"], "max_content_width": 100}

Decorated = TypeVar("Decorated", bound=Callable[..., Any])


@dataclass
class State:
    """The state of one run of the command line.

    `started` is the moment from which a time limit counts; it includes the loading of libraries.
    `when_stopped`, or what it returns, is added to the message after Ctrl-C if there is the file `begun` (None:
    always), and `when_unwritten` to the one that stdout cannot be written. `ended`: the last line was printed.
    """

    verbose: bool = False
    quiet: bool = False
    json: bool = False
    when_stopped: str | Callable[[], str] = ""
    begun: Path | None = None
    when_unwritten: str = ""
    ended: bool = False
    started: Moment = field(default_factory=Moment.now)

    def stopped(self) -> str:
        """Return the message after Ctrl-C."""
        if self.begun is not None and not self.begun.is_file():
            return "stopped"
        added = self.when_stopped if isinstance(self.when_stopped, str) else self.when_stopped()
        return f"stopped{added}"


class SectionOption(click.Option):
    """An option in a section of the help page, with its default in words.

    The value is None if the option is not given: only the configuration holds defaults.
    """

    def __init__(self, *args: Any, section: str = "Options", standard: str = "", **kwargs: Any) -> None:
        self.section = section
        self.standard = standard
        if standard:
            kwargs["help"] = f"{kwargs['help']}  [{standard}]"
        super().__init__(*args, **{"shell_complete": OF_FLAG.get(args[0][0]), **kwargs})


class SectionCommand(click.Command):
    """A command whose help page lists its options by section."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        # click keeps the first help option that it makes, which may be made without the root command.
        super().__init__(*args, **{"context_settings": HELP, **kwargs})

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        sections: dict[str, list[tuple[str, str]]] = {}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is not None and isinstance(param, click.Option):
                sections.setdefault(getattr(param, "section", "Output"), []).append(record)
        for name, records in sections.items():
            with formatter.section(name):
                formatter.write_dl(records)


def option(*names: str, section: str = "Options", standard: str = "", **kwargs: Any) -> Callable[..., Any]:
    """Return a `click.option` in a section; `standard` is its default in words."""
    return click.option(*names, cls=SectionOption, section=section, standard=standard, **kwargs)


def section(name: str) -> Callable[[str, str, str, str], Callable[[Decorated], Decorated]]:
    """Return a function (flag, metavar, default in words, help) that makes options of one section."""

    def value_option(flag: str, metavar: str, standard: str, text: str) -> Callable[[Decorated], Decorated]:
        return option(flag, section=name, metavar=metavar, standard=standard, help=text)

    return value_option


def given(options: dict[str, Any]) -> dict[str, Any]:
    """Return the options that were given on the command line."""
    return {name: value for name, value in options.items() if value is not None and value != ()}


def directory_option(function: Decorated) -> Decorated:
    """Add `--directory`: where studies are."""
    return section("Study")("--directory", "DIR", "studies", "Folder that holds the studies.")(function)


def json_option(text: str) -> Callable[[Decorated], Decorated]:
    """Return an option `--json`: one JSON object on stdout."""
    return _switch("--json", "json", text)


def quiet_option(function: Decorated) -> Decorated:
    """Add `--quiet`: no progress."""
    return _switch("--quiet", "quiet", "Show only the result and errors, no progress.")(function)


def verbose_option(function: Decorated) -> Decorated:
    """Add `--verbose`: log records, and tracebacks with errors."""
    return _switch("--verbose", "verbose", "Write a log to stderr, and show tracebacks.")(function)


def _switch(flag: str, attribute: str, text: str) -> Callable[[Decorated], Decorated]:
    def remember(ctx: click.Context, _: click.Parameter, value: bool) -> None:
        if value:
            state = ctx.ensure_object(State)
            setattr(state, attribute, True)
            log.configure(1 if state.verbose else -1)

    # Eager: an error in another option is then reported as this one asks.
    return option(
        flag, section="Output", is_flag=True, is_eager=True, expose_value=False, callback=remember, help=text
    )
