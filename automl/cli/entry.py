"""The entry point: runs a command, and turns every outcome into one line and an exit code."""

from __future__ import annotations

import atexit
import errno
import os
import sys
import threading
import traceback
import warnings
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import click

from automl.cli.group import root
from automl.cli.options import State
from automl.cli.output import complain, output_problem
from automl.errors import AutomlError, OutputError, ReaderGoneError, reason_of, text_of, unknown_name
from automl.interrupt import EXIT_INTERRUPTED, as_command
from automl.machine import process_start, too_long
from automl.terminal import streams
from automl.terminal.masking import mask_passwords
from automl.terminal.streams import discard_output, prepare_streams

RAY_THREAD = "automl-ray"  # of search/engines/ray/runtime.py, which must not be imported here
EXIT_FAILURE = 1
EXIT_USAGE = 2
OUT_OF_MEMORY = (
    "memory ran out: close other programs, or raise the limit (`ulimit -v`, that of the container)"
)
# What the loader of libraries and the system say.
_NO_MEMORY = (
    "cannot allocate memory",
    "failed to map segment",
    "can't start new thread",
    "can't allocate memory",
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0, 1 (failed), 2 (wrong usage or input), 3 (the model of `fit` or
    `resume` is not usable), 130 (Ctrl-C), 141 (the reader of stdout has gone).

    Errors are one line on stderr; `--verbose` adds the traceback. Without `argv` this process is the command: the time
    limit counts from its start, and it ends here.
    """
    if argv is not None:
        return _run(argv, State())
    prepare_streams()
    state = State(started=process_start())
    as_command().last_words = lambda: "" if state.ended else state.stopped()
    return leave(_run(None, state))


def leave(code: int) -> int:
    """End this process with the exit code if it has loaded torch or Ray is starting, else return the code.

    Python takes up to two seconds to take torch down piece by piece, which would come after the time limit. What
    libraries registered for the end of the process runs first, unless Ray is still starting or stopping: then a
    watchdog ends Ray's processes after this one (decision 61).
    """
    ray = any(thread.name == RAY_THREAD for thread in threading.enumerate())
    if "torch" not in sys.modules and not ray:
        return code
    if not ray:
        atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # closed
            stream.flush()
    os._exit(code)


def _run(argv: Sequence[str] | None, state: State) -> int:
    try:
        with warnings.catch_warnings():
            # Warnings are for programmers; users get errors and notes.
            warnings.simplefilter("ignore")
            code = root.main(args=argv, prog_name="automl", standalone_mode=False, obj=state)
            _flush()
        return code if isinstance(code, int) else 0
    except click.exceptions.Exit as exit_:
        return exit_.exit_code
    except (KeyboardInterrupt, click.Abort):
        return _fail(state, state.stopped(), EXIT_INTERRUPTED)
    except ReaderGoneError as error:
        discard_output()
        return error.exit_code
    except OutputError as error:
        discard_output()
        return _fail(state, f"{error}{state.when_unwritten}", error.exit_code)
    except click.ClickException as error:
        return _fail(state, usage_message(error), EXIT_USAGE)
    except AutomlError as error:
        return _fail(state, str(error), error.exit_code)
    except Exception as error:
        return _unexpected(state, error)


def _unexpected(state: State, error: Exception) -> int:
    if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:
        return _fail(state, too_long(str(error.filename or "")), EXIT_USAGE)
    if _is_of_click(error):
        discard_output()
        return _fail(state, output_problem(error), EXIT_FAILURE)
    if _memory_ran_out(error):
        return _fail(state, f"{OUT_OF_MEMORY} ({reason_of(error)})", EXIT_FAILURE)
    hint = "" if state.verbose else "; --verbose shows where"
    return _fail(state, f"unexpected {type(error).__name__}: {error}{hint}", EXIT_FAILURE)


def _memory_ran_out(error: Exception) -> bool:
    """Return whether an error says, in any of the usual ways, that there was no memory."""
    text = text_of(error).lower()
    return isinstance(error, MemoryError) or any(words in text for words in _NO_MEMORY)


def _flush() -> None:
    """Write what is left of the output. Raises OutputError."""
    try:
        sys.stdout.flush()
    except BrokenPipeError as error:
        raise ReaderGoneError(output_problem(error)) from error
    except OSError as error:
        raise OutputError(output_problem(error)) from error


def _is_of_click(error: Exception) -> bool:
    """Return whether click could not print a help page."""
    frames = [
        frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename != streams.__file__
    ]
    return isinstance(error, OSError) and Path(frames[-1].filename).parent == Path(click.__file__).parent


def usage_message(error: click.ClickException) -> str:
    """Return one sentence about a wrong command line; an unknown option gets its closest match."""
    context = error.ctx if isinstance(error, click.UsageError) else None
    if isinstance(error, click.NoSuchOption) and context is not None:
        valid = [name for param in context.command.params for name in param.opts if name.startswith("--")]
        return unknown_name("option", error.option_name, [*valid, "--help"])
    if isinstance(error, click.MissingParameter) and error.param is not None and context is not None:
        name = error.param.make_metavar(context).rstrip(".")
        return f"{name} must be given; see `{context.command_path} --help`"
    text = error.format_message().rstrip(".")
    text = text[:1].lower() + text[1:]
    return f"{text}; see `{context.command_path} --help`" if context is not None else text


def _fail(state: State, message: str, code: int) -> int:
    if state.verbose and code != EXIT_INTERRUPTED:
        for line in mask_passwords(traceback.format_exc()).splitlines():
            complain(line)
    # Messages of libraries may have several lines.
    complain(f"automl: {mask_passwords(' '.join(message.split()))}")
    state.ended = True
    return code
