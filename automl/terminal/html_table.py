"""Tables for notebooks: HTML without scripts and styles of its own, whatever the texts in it are."""

from __future__ import annotations

import html
from collections.abc import Sequence

from automl.terminal.printable import printable, short_words


def html_text(text: object) -> str:
    """Return a text for a page, with control characters visible and long words cut."""
    return html.escape(printable(short_words(str(text))))


def html_table(
    rows: Sequence[Sequence[object]], *, columns: Sequence[str] = (), title: str = "", most: int = 60
) -> str:
    """Return a table with a title above it. More than `most` rows are counted instead of shown."""
    head = _row(columns, "th") if columns else ""
    body = "".join(_row(row, "td") for row in rows[:most])
    left = len(rows) - most
    more = f"<p>and {left:,} more rows</p>" if left > 0 else ""
    above = f"<p><strong>{html_text(title)}</strong></p>" if title else ""
    return f"{above}<table>{head}{body}</table>{more}"


def _row(cells: Sequence[object], tag: str) -> str:
    inner = "".join(f'<{tag} style="text-align:left">{html_text(cell)}</{tag}>' for cell in cells)
    return f"<tr>{inner}</tr>"
