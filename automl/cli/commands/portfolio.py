"""`automl portfolio`: learn which configurations to try first."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from automl.cli import completion
from automl.cli.options import (
    HELP,
    SectionCommand,
    State,
    directory_option,
    json_option,
    option,
    section,
    verbose_option,
)

if TYPE_CHECKING:
    from automl.review.studies import StudyFolder
    from automl.search.sampling.portfolio import Portfolio

search = section("Search")


@click.group("portfolio", context_settings=HELP, short_help="Learn which configurations to try first.")
def command() -> None:
    """Learn from earlier studies which configurations a search tries first."""


@command.command("learn", cls=SectionCommand, short_help="Learn a portfolio from studies.")
@click.argument("studies", nargs=-1, required=True, metavar="STUDIES...", shell_complete=completion.studies)
@directory_option
@search("--space", "NAME|FILE", "the first study's", "Search space of the portfolio.")
@option("--size", section="Search", type=click.IntRange(min=1), default=8, help="Most configurations.  [8]")
@option(
    "--out", "out", metavar="FILE", section="Output", help="Write a copy of the space with the portfolio."
)
@json_option("Print one JSON object.")
@verbose_option
@click.pass_obj
def learn(
    state: State,
    /,
    studies: tuple[str, ...],
    directory: str | None,
    space: str | None,
    size: int,
    out: str | None,
) -> None:
    """Learn from STUDIES which configurations to try first, and in which order.

    Each configuration added is the one that most lowers the mean normalised regret over the studies. STUDIES are names
    or folders of studies; use at least four, on different data. --out writes a search space for `automl fit --space`.
    """
    from automl.cli.output import complain, print_json
    from automl.review.earlier_studies import read_past
    from automl.review.studies import damage_told, find_study
    from automl.search.sampling.portfolio import learn_portfolio

    if out is not None:
        _require_out(out, space)
    named = [find_study(study, directory or "studies") for study in studies]
    found = list({study.path.resolve(): study for study in named}.values())
    with damage_told(found[0].name):
        chosen = _space(space, found[0])
    portfolio = learn_portfolio([read_past(study) for study in found], chosen, size=size)
    if not portfolio.configs:
        from automl.errors import StudyError

        raise StudyError(
            f"a study must have at least five trials with values in the space {chosen.name!r}, and none has; "
            "name other studies, or give their --space"
        )
    if out is not None:
        _write(chosen, portfolio, Path(out))
    few = _few(portfolio, len(found))
    if few:
        complain(few)
    if state.json:
        print_json(
            {
                "space": chosen.name,
                "studies": list(portfolio.studies),
                "portfolio": [dict(config) for config in portfolio.configs],
                "regret": list(portfolio.regret),
            }
        )
    else:
        _print(portfolio)


def _space(given: str | None, study: StudyFolder) -> Any:
    """Return the given space, else the first study's; if that is `auto`, the one that its plan chose."""
    from automl.errors import UsageError
    from automl.spaces import SearchSpace

    own = study.config.get("space", "auto") if given is None else given
    if own == "auto":
        own = study.plan.get("space_used")
    if own is None:
        raise UsageError(
            f"--space must be given, since study {study.name!r} has not chosen one yet; for example --space cpu"
        )
    return SearchSpace.from_dict(own) if isinstance(own, dict) else SearchSpace.load(own)


def _few(portfolio: Portfolio, asked: int) -> str:
    """Return a note if the portfolio comes from fewer studies than recommended, else ""."""
    from automl.search.sampling.portfolio import ENOUGH_STUDIES

    count = len(portfolio.studies)
    if count >= ENOUGH_STUDIES:
        return ""
    dropped = f" ({asked - count} had too few trials in the space)" if asked > count else ""
    return (
        f"Note: learnt from {count} {'study' if count == 1 else 'studies'}{dropped}. With fewer than {ENOUGH_STUDIES} "
        "data sets, a portfolio may not suit other data."
    )


def _print(portfolio: Portfolio) -> None:
    from automl.cli.output import print_table, say
    from automl.review.describe import config_words

    rows = [
        (str(rank), f"{regret:.3f}", str(config.get("family", "-")), config_words(config))
        for rank, (config, regret) in enumerate(zip(portfolio.configs, portfolio.regret, strict=True), 1)
    ]
    say(f"learnt from {', '.join(portfolio.studies)}\n")
    print_table(("rank", "mean regret so far", "family", "configuration"), rows)


def _require_out(out: str, space: str | None) -> None:
    """Raise UsageError for a file that is there and is no earlier portfolio, or is the given space."""
    from automl.documents.output_file import Kind, require_output

    require_output(
        "--out", out, Kind("space with a portfolio", lambda start: "\nportfolio:" in start), data=[space]
    )


def _write(space: Any, portfolio: Portfolio, path: Path) -> None:
    import yaml

    from automl.errors import UsageError

    content = {**space.to_dict(), "portfolio": [dict(config) for config in portfolio.configs]}
    try:
        path.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True), encoding="utf-8")
    except OSError as error:
        raise UsageError(
            f"--out must be a file that can be written, got {str(path)!r} ({error.strerror})"
        ) from error
