"""Options in sections with their defaults shown, and the three that most commands share."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import click

from automl import log

HELP: dict[str, Any] = {"help_option_names": ["-h", "--help"], "max_content_width": 100}

Decorated = TypeVar("Decorated", bound=Callable[..., Any])


@dataclass
class State:
    """What one run of the command line shares between its command and its end.

    `started` is the moment (`time.time()`) from which a time limit counts: loading libraries is part of it.
    """

    verbose: bool = False
    quiet: bool = False
    json: bool = False
    when_stopped: str = ""
    started: float = field(default_factory=time.time)


class SectionOption(click.Option):
    """An option that belongs to a section of the help page and says its default in words.

    The value is None where the option was not given, so that the configuration alone holds the defaults.
    """

    def __init__(self, *args: Any, section: str = "Options", standard: str = "", **kwargs: Any) -> None:
        self.section = section
        self.standard = standard
        if standard:
            kwargs["help"] = f"{kwargs['help']}  [{standard}]"
        super().__init__(*args, **kwargs)


class SectionCommand(click.Command):
    """A command whose help page lists its options section by section, in the order they were written."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        # click keeps the help option that it makes first, and that may be without the root command.
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
    """A `click.option` in a section; `standard` is what holds where it is not given."""
    return click.option(*names, cls=SectionOption, section=section, standard=standard, **kwargs)


def section(name: str) -> Callable[[str, str, str, str], Callable[[Decorated], Decorated]]:
    """What makes options of one section: called with (flag, metavar, what holds otherwise, help)."""

    def value_option(flag: str, metavar: str, standard: str, text: str) -> Callable[[Decorated], Decorated]:
        return option(flag, section=name, metavar=metavar, standard=standard, help=text)

    return value_option


def given(options: dict[str, Any]) -> dict[str, Any]:
    """The options that stand on the command line."""
    return {name: value for name, value in options.items() if value is not None and value != ()}


def directory_option(function: Decorated) -> Decorated:
    """`--directory`: where studies live."""
    return section("Study")("--directory", "DIR", "studies", "Folder that holds the studies.")(function)


def json_option(text: str) -> Callable[[Decorated], Decorated]:
    """`--json`: one JSON object on stdout."""
    return _switch("--json", "json", text)


def quiet_option(function: Decorated) -> Decorated:
    """`--quiet`: no progress."""
    return _switch("--quiet", "quiet", "No progress; only the result, and errors.")(function)


def verbose_option(function: Decorated) -> Decorated:
    """`--verbose`: log records, and tracebacks with errors."""
    return _switch("--verbose", "verbose", "Log what happens to stderr, and show tracebacks.")(function)


def _switch(flag: str, attribute: str, text: str) -> Callable[[Decorated], Decorated]:
    def remember(ctx: click.Context, _: click.Parameter, value: bool) -> None:
        if value:
            state = ctx.ensure_object(State)
            setattr(state, attribute, True)
            log.configure(1 if state.verbose else -1)

    # Eager: when a later option cannot be parsed, it is already known how to report that.
    return option(
        flag, section="Output", is_flag=True, is_eager=True, expose_value=False, callback=remember, help=text
    )
