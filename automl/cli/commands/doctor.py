"""`automl doctor`: check whether `fit` can work on this machine."""

from __future__ import annotations

import click

from automl.cli.options import SectionCommand, State, directory_option, json_option, verbose_option


@click.command("doctor", cls=SectionCommand, short_help="Check this machine.")
@directory_option
@json_option("Print one JSON object.")
@verbose_option
@click.pass_obj
def command(state: State, /, directory: str | None) -> int:
    """Check package versions, GPUs, memory, disk, network and folders.

    The exit code is 1 if `automl fit` cannot work here.
    """
    from automl.cli.doctor_checks import check_all
    from automl.cli.output import print_json, say, say_wrapped

    checks = list(check_all(directory or "studies"))
    broken = [check for check in checks if check.level == "bad"]
    if state.json:
        print_json({"ok": not broken, "checks": [vars(check) for check in checks]})
    else:
        width = max(len(check.name) for check in checks)
        for check in checks:
            mark = {"ok": "✓", "note": "!", "bad": "✗"}[check.level]
            say_wrapped(f"{mark} {check.name:<{width}}  {check.text}", indent=width + 4)
        say("\nfit cannot work here" if broken else "\nready")
    return 1 if broken else 0
