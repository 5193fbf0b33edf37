"""Write what a data set looks like, and what was found in it, as one self-contained file."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from automl.data.quality.findings import headline_of, nothing_found
from automl.data.quality.inspect import Inspection
from automl.data.sources.base import counted
from automl.documents.output_file import generator
from automl.errors import UsageError
from automl.review.data_page.overview import overview
from automl.review.data_page.thumbnails import SIDE, escape, figure

PAGE = "inspection"
_MAX_CASES, _MAX_FILES = 30, 8
_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8">{generator}<meta name="viewport" content="width=device-width">
<title>{name}</title>
<style>
body {{ font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem; padding: 0 1rem;
  color-scheme: light dark; overflow-wrap: anywhere; }}
h2 {{ margin-top: 2rem; }} h3 {{ margin: .75rem 0 .25rem; font-size: 15px; }}
nav {{ display: flex; flex-wrap: wrap; gap: .3rem 1rem; }}
table {{ border-collapse: collapse; font-variant-numeric: tabular-nums; }}
td, th {{ padding: .15rem .6rem; border-bottom: 1px solid #8884; text-align: left; }}
td:first-child {{ min-width: 6rem; overflow-wrap: anywhere; }}
meter {{ width: 5rem; }} .whole {{ overflow-wrap: normal; }}
.right {{ text-align: right; }} .wide {{ overflow-x: auto; }}
.row, .case, .cases {{ display: flex; flex-wrap: wrap; gap: .5rem; }}
.case {{ padding: .5rem; border: 1px solid #8885; border-radius: 6px; }}
figure {{ margin: 0; width: {side}px; }}
figcaption {{ font-size: 11px; overflow-wrap: anywhere; }}
.legend span {{ display: inline-block; margin-right: 1rem; }}
.legend i {{ display: inline-block; width: 12px; height: 12px; margin-right: .3rem; border-radius: 50%;
  background: #888; }}
.legend svg {{ vertical-align: -3px; }}
.scale {{ display: inline-block; width: 9rem; height: 12px; margin: 0 .3rem; border-radius: 3px;
  vertical-align: -1px; }}
svg {{ max-width: 100%; }}
svg.map {{ width: 100%; max-width: 44rem; border: 1px solid #8885; border-radius: 6px; }}
svg text {{ font: 11px system-ui, sans-serif; fill: currentColor; }}
.bar {{ fill: #2563eb; }}
</style>
<h1>{name}</h1>
<p>{images} for {task}, {bad} unreadable.</p>
<nav>{links}</nav>
{body}
</html>
"""
_OVERVIEW = ("values", "classes", "samples", "sizes", "brightness", "map")


def write_data_page(found: Inspection, path: Path) -> None:
    """Write the overview and the findings of an inspection whose source is still open, with thumbnails.

    At most 30 cases of a finding and 8 files of a case are shown. Raises UsageError if `path` cannot be written.
    """
    report = found.report
    rows = {file: i for i, file in enumerate(found.source.files)}

    def thumbnail(file: str) -> str:
        return figure(file, partial(found.source.load, rows[file]))

    sections = [
        _section(f"finding-{k}", headline_of(finding, report.findings), finding.files, thumbnail)
        for k, finding in enumerate(report.findings, 1)
    ]
    notes = "".join(f"<li>{escape(note)}</li>" for note in report.notes)
    bad = "".join(f"<li>{escape(file.file)}: {escape(file.reason)}</li>" for file in report.bad)
    lists = [
        f"<h2>{title}</h2><ul>{items}</ul>"
        for title, items in (("Notes", notes), ("Unreadable", bad))
        if items
    ]
    shown = overview(found)
    page = _PAGE.format(
        generator=generator(PAGE),
        name=escape(report.name),
        side=SIDE,
        images=counted(report.n_images, "image"),
        task=report.task,
        bad=len(report.bad),
        links=_links(found, shown),
        body="\n".join(["".join(sections) or f"<p>{nothing_found(report.task)}</p>", *lists, shown]),
    )
    try:
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise UsageError(
            f"--html must be a file that can be written, got {str(path)!r} ({error.strerror})"
        ) from error


def _links(found: Inspection, shown: str) -> str:
    """Return links to the findings and to the parts of the overview."""
    findings = [(f"finding-{k}", finding.kind) for k, finding in enumerate(found.report.findings, 1)]
    parts = [(name, name) for name in _OVERVIEW if f'id="{name}"' in shown]
    return "".join(
        f'<a href="#{anchor}">{escape(words.replace("_", " "))}</a>' for anchor, words in [*findings, *parts]
    )


def _section(
    anchor: str, headline: str, cases: tuple[tuple[str, ...], ...], thumbnail: Callable[[str], str]
) -> str:
    shown = [
        f'<div class="case">{"".join(thumbnail(file) for file in case[:_MAX_FILES])}</div>'
        for case in cases[:_MAX_CASES]
    ]
    left = len(cases) - len(shown)
    more = f"<p>and {left} more</p>" if left > 0 else ""
    return f'<h2 id="{anchor}">{escape(headline)}</h2>\n<div class="cases">{"".join(shown)}</div>{more}'
