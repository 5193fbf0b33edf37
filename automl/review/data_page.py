"""Write a page with thumbnails of the findings in data, as one self-contained file."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from PIL import Image

from automl.data.pixels import quiet_pillow, to_pixels
from automl.data.quality.report import DataReport
from automl.data.sources import open_source
from automl.data.sources.base import counted
from automl.errors import DataError, UsageError
from automl.terminal.printable import printable, short_words

SIDE = 112
_MAX_CASES, _MAX_FILES = 30, 8
_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{name}</title>
<style>
body {{ font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem; padding: 0 1rem;
  color-scheme: light dark; }}
.case {{ display: flex; flex-wrap: wrap; gap: .5rem; margin: .75rem 0; padding: .5rem; border: 1px solid #8885;
  border-radius: 6px; }}
figure {{ margin: 0; width: {side}px; }}
figcaption {{ font-size: 11px; overflow-wrap: anywhere; }}
</style>
<h1>{name}</h1>
<p>{images} for {task}, {bad} unreadable.</p>
{body}
</html>
"""


def escape(text: str) -> str:
    """Return a text for the page, with control characters visible and long names cut."""
    return html.escape(printable(short_words(text)))


def write_data_page(report: DataReport, path: Path, data: Any, **how: Any) -> None:
    """Write the findings of `report` on `data` (opened with the keywords `how`) with a thumbnail for each file.

    At most 30 cases of a finding and 8 files of a case are shown. Raises UsageError if `path` cannot be written.
    """
    source = open_source(data, **how)
    try:
        rows = {file: i for i, file in enumerate(source.files)}

        def thumbnail(file: str) -> str:
            return figure(file, partial(source.load, rows[file]))

        body = "\n".join(_section(finding.headline, finding.files, thumbnail) for finding in report.findings)
    finally:
        source.close()
    notes = "".join(f"<li>{escape(note)}</li>" for note in report.notes)
    bad = "".join(f"<li>{escape(file.file)}: {escape(file.reason)}</li>" for file in report.bad)
    lists = [
        f"<h2>{title}</h2><ul>{items}</ul>"
        for title, items in (("Notes", notes), ("Unreadable", bad))
        if items
    ]
    page = _PAGE.format(
        name=escape(report.name),
        side=SIDE,
        images=counted(report.n_images, "image"),
        task=report.task,
        bad=len(report.bad),
        body="\n".join([body or "<p>No problems found.</p>", *lists]),
    )
    try:
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise UsageError(
            f"--html must be a file that can be written, got {str(path)!r} ({error.strerror})"
        ) from error


def _section(headline: str, cases: tuple[tuple[str, ...], ...], thumbnail: Any) -> str:
    shown = [
        f'<div class="case">{"".join(thumbnail(file) for file in case[:_MAX_FILES])}</div>'
        for case in cases[:_MAX_CASES]
    ]
    left = len(cases) - len(shown)
    more = f"<p>and {left} more</p>" if left > 0 else ""
    return f"<h2>{escape(headline)}</h2>\n{''.join(shown)}{more}"


def figure(caption: str, load: Callable[[], Image.Image]) -> str:
    """Return a thumbnail with a caption below it, or the caption alone if the image is unreadable."""
    jpeg = _jpeg(load)
    data = "" if jpeg is None else base64.b64encode(jpeg).decode()
    image = f'<img width="{SIDE}" height="{SIDE}" alt="" src="data:image/jpeg;base64,{data}">' if data else ""
    return f"<figure>{image}<figcaption>{escape(caption)}</figcaption></figure>"


def _jpeg(load: Callable[[], Image.Image]) -> bytes | None:
    """Return the centre of an image as a small JPEG, or None if it is unreadable."""
    try:
        with quiet_pillow():
            pixels = to_pixels(load(), size=SIDE, channels=3)
    except DataError:
        return None
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=80)
    return buffer.getvalue()
