"""Paragraphs in the width of a terminal."""

from __future__ import annotations

import textwrap

from automl.terminal.printable import printable, short_words

LEAST_WIDTH = 24


def wrapped(text: str, width: int | None, *, indent: int = 0) -> list[str]:
    """Return a text as lines of at most `width` characters (None: any), all but the first with an indentation.

    Control characters are escaped, and names of thousands of characters cut. Words are divided only if they are longer
    than a line.
    """
    text = printable(short_words(text))
    if width is None or len(text) <= width:
        return [text]
    width = max(width, LEAST_WIDTH)
    indent = min(indent, width // 2)
    return textwrap.wrap(text, width, subsequent_indent=" " * indent, break_on_hyphens=False) or [""]
