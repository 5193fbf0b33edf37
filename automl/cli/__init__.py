"""The command line: `automl fit DATA` and the commands around a study."""

from __future__ import annotations

# That of `typing`, whose import would take longer than all else before the first line of `main`.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code (see `automl.cli.entry.main`)."""
    if argv is None:
        try:
            _end_silently_on_ctrl_c()
        except KeyboardInterrupt:
            return 130
        from automl.interrupt import as_command

        as_command()
    from automl.cli import entry

    return entry.main(argv)


def _end_silently_on_ctrl_c() -> None:
    """Let Ctrl-C end this process at once: Python would print a traceback of the imports that follow.

    Nothing here can change what Python prints if the key is pressed while it starts itself.
    """
    import signal

    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # a shell's background ignores it
        signal.signal(signal.SIGINT, signal.SIG_DFL)
