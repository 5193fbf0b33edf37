"""The token that clients of a Ray started here need, new at each start."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

MODE, TOKEN, TOKEN_FILE = "RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"
FILE = "token"


@contextmanager
def token_in_force(folder: Path) -> Iterator[None]:
    """A Ray that starts in this block asks every client for a new token, which lies in `folder`.

    Ray listens on the machine's address, and whoever reaches its ports can run code. By default it writes one token for
    all starts to ~/.ray, readable by everybody. RAY_AUTH_* variables of the user win. The folder must be private to
    this user. Call `forget_token` after the shutdown.
    """
    if any(name in os.environ for name in (MODE, TOKEN, TOKEN_FILE)):
        yield
        return
    place = folder / FILE
    descriptor = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(secrets.token_hex(32))
    os.environ |= {MODE: "token", TOKEN_FILE: str(place)}  # Ray's processes inherit them
    _read_again()
    try:
        yield
    finally:
        # Ray has read both, and programs that this process starts later must not inherit them.
        for name in (MODE, TOKEN_FILE):
            os.environ.pop(name, None)


def forget_token() -> None:
    """Let this process join or start another Ray, with another token or none."""
    _read_again()


def _read_again() -> None:
    # Private to Ray: `ray._raylet.AuthenticationTokenLoader` and `Config`. Ray reads these variables once a process and
    # has no public way to read them again. Without it, the second Ray of a process refuses its own token, unless that
    # version reads the variables at each start.
    raylet: Any = import_module("ray._raylet")
    loader, config = getattr(raylet, "AuthenticationTokenLoader", None), getattr(raylet, "Config", None)
    if loader is not None and config is not None:
        config.initialize("")
        loader.instance().reset_cache()
