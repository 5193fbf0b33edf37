"""Read a file whole, if it is a file and not too large."""

from __future__ import annotations

import os
import stat
from pathlib import Path

_PIECE = 2**20


class TooLargeError(ValueError):
    """A file has more bytes than are read."""


def read_bounded(path: str | Path, most: int) -> bytes:
    """Return the content of a file of at most `most` bytes.

    Raises OSError if it cannot be read, ValueError if it is no file, and TooLargeError for more bytes, before any is
    read if its size says so.
    """
    file = open_file(path, most)
    try:
        size = os.fstat(file).st_size
        data = os.read(file, size + 1)  # one call, unless the file grows meanwhile or hides its size
        if len(data) == size:
            return data
        parts, total = [data], len(data)
        while part := os.read(file, _PIECE):
            parts.append(part)
            total += len(part)
            if total > most:
                raise TooLargeError(f"too large: more than {size_in_words(most)}")
        return b"".join(parts)
    finally:
        os.close(file)


def open_file(path: str | Path, most: int) -> int:
    """Open a file of at most `most` bytes for reading and return its number, which the caller closes.

    It is opened without waiting: a named pipe has no end, nor has a device. Raises as `read_bounded` does.
    """
    file = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0))
    try:
        info = os.fstat(file)
        if not stat.S_ISREG(info.st_mode):
            raise ValueError("not a file")
        if info.st_size > most:
            raise TooLargeError(f"too large: {size_in_words(info.st_size)}, at most {size_in_words(most)}")
    except BaseException:
        os.close(file)
        raise
    return file


def size_in_words(size: int) -> str:
    """Return "512 bytes", "1.5 MB", "2.0 GB" and so on."""
    for unit, scale in (("TB", 10**12), ("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size >= scale:
            return f"{size / scale:.1f} {unit}"
    return f"{size} bytes"
