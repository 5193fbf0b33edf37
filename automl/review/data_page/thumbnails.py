"""Images on a page that is one file."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Callable

from PIL import Image

from automl.data.pixels import quiet_pillow, to_pixels
from automl.errors import DataError
from automl.terminal.printable import printable, short_words

SIDE = 112


def escape(text: str) -> str:
    """Return a text for the page, with control characters visible and long names cut."""
    return html.escape(printable(short_words(text)))


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
