"""Render a page as one self-contained file: no address but its own, and no script but the one of the templates."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from automl.documents.output_file import generator
from automl.terminal.printable import printable, short_words

PACKAGE = "automl.review.page"
SCRIPT, STYLE = "page.js", "page.css"


def render(template: str, **content: Any) -> str:
    """Return a page made of a template. All text of `content` is escaped, and long names are cut.

    A browser runs the script of the templates and no other, and loads nothing: the page's own policy forbids it
    (Content Security Policy, https://www.w3.org/TR/CSP3/).
    """
    page = _environment().get_template(template)
    return page.render(**content, generator=Markup(generator(Path(template).stem)))


def write_text(path: Path, text: str) -> None:
    """Write a page at once, so that there is the whole page or the one before. Raises OSError."""
    draft = path.with_name(f".{path.name}.part")
    try:
        draft.write_text(text, encoding="utf-8", errors="backslashreplace")
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader(PACKAGE),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    script = _file(SCRIPT)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    environment.globals |= {
        "script": Markup(script),
        "style": Markup(_file(STYLE)),
        "policy": (
            f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; "
            "base-uri 'none'; form-action 'none'"
        ),
    }
    return environment


def _file(name: str) -> str:
    return (resources.files(PACKAGE) / "templates" / name).read_text(encoding="utf-8")


def _shown(value: Any) -> Any:
    """Return what a page shows of a value: control characters visible, long names cut; markup as it is."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return printable(short_words(value))
    return value
