"""The command line: `automl fit DATA` and the commands around a study."""

from automl.cli.entry import main

__all__ = ["main"]
