"""Flags and fields are the same things."""

from __future__ import annotations

import click
import pytest

from automl.cli.commands.fit import command as fit
from automl.cli.commands.resume import command as resume
from automl.cli.group import COMMANDS, root
from automl.cli.options import SectionOption, State
from automl.config import StudyConfig
from automl.config.durations import format_duration
from automl.config.sizes import format_size

ACTIONS = {"json", "quiet", "verbose"}


def options(command: click.Command) -> dict[str, SectionOption]:
    return {str(param.name): param for param in command.params if isinstance(param, SectionOption)}


def test_fit_has_a_flag_for_each_field() -> None:
    assert set(options(fit)) - ACTIONS == set(StudyConfig.model_fields) - {"data"}


def test_resume_changes_fields_only() -> None:
    assert set(options(resume)) - ACTIONS <= set(StudyConfig.model_fields)


@pytest.mark.parametrize("name", sorted(set(StudyConfig.model_fields) - {"data", "study", "overwrite"}))
def test_default_in_the_help_is_the_default(name: str) -> None:
    default, said = StudyConfig.model_fields[name].default, options(fit)[name].standard
    if default is None:
        assert said in (
            "automatic",
            "no limit",
            "none",
            "this machine",
            "study.db in its folder",
            "10m unless --n-trials",
        )
    else:
        assert said == (format_size(default) if name == "max_disk" else str(default))


def test_default_time_limit_in_the_help_holds() -> None:
    limit = StudyConfig(data="digits").time_limit
    assert limit is not None
    assert options(fit)["time_limit"].standard.startswith(format_duration(limit) + " ")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself_and_its_options(name: str) -> None:
    command = root.get_command(click.Context(root), name)
    assert command is not None
    assert command.name == name
    assert command.help
    assert command.short_help
    for option in options(command).values():
        assert option.help, option.name


def test_flags_that_are_not_given_leave_no_value() -> None:
    context = fit.make_context("fit", ["digits", "--seed", "3"], obj=State())
    assert {name: value for name, value in context.params.items() if value is not None} == {
        "data": "digits",
        "seed": "3",
    }
