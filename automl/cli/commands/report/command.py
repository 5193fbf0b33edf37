"""`automl report`: write the report of a study, and open it."""

from __future__ import annotations

from pathlib import Path

import click

from automl.cli.damaged_study import reads_study
from automl.cli.options import (
    SectionCommand,
    State,
    directory_option,
    json_option,
    option,
    verbose_option,
)


@click.command("report", cls=SectionCommand, short_help="Write a study's report as one page.")
@click.argument("study")
@directory_option
@option("--open", "opened", is_flag=True, section="Output", help="Open the page in the browser.")
@option(
    "--out",
    metavar="FILE",
    section="Output",
    standard="report.html of STUDY",
    help="Write the page to this file.",
)
@json_option("Print the path and the verdict as one JSON object.")
@verbose_option
@click.pass_obj
@reads_study
def command(state: State, /, study: str, directory: str | None, opened: bool, out: str | None) -> None:
    """Write the report of STUDY: one page that needs no network, with its verdict, errors, data and trials.

    STUDY is the name of a study or its folder. It may still be running, or be stopped or failed. `automl fit` writes
    the page, too. The report of a study at an address is stored there.
    """
    from automl.cli.output import print_json, say, say_wrapped
    from automl.config.names import directory_flag
    from automl.review.report.study_report import report_of
    from automl.terminal.masking import mask_passwords

    flags = directory_flag(directory or "studies")
    written = report_of(study, directory or "studies", flags=flags, out=None if out is None else Path(out))
    if state.json:
        said = written.verdict
        print_json(
            {
                "study": study,
                "report": str(written.path),
                "address": mask_passwords(written.address) or None,
                "state": said.state,
                "verdict": list(said.sentences),
            }
        )
    else:
        for sentence in written.verdict.sentences:
            say_wrapped(sentence)
        say()
        say(f"report: {written.path}")
        if written.address:
            say(f"stored: {mask_passwords(written.address)}")
    if opened:
        _open(written.path)


def _open(page: Path) -> None:
    import webbrowser

    from automl.errors import UsageError

    if not webbrowser.open(page.resolve().as_uri()):
        raise UsageError(
            f"--open needs a browser on this machine, and there is none: open {str(page)!r} elsewhere"
        )
