"""The command line: `automl fit DATA` and the commands around a study."""

from __future__ import annotations

from collections.abc import Sequence

from automl.interrupt import as_command

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code (see `automl.cli.entry.main`)."""
    if argv is None:
        as_command()  # first of all: Ctrl-C must not print a traceback of the imports that follow
    from automl.cli import entry

    return entry.main(argv)
