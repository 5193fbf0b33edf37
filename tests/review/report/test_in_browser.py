"""The report in a real browser: it sorts, its figures show something, it asks for nothing, and everybody can use it."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from automl.review.report.write import write_report
from automl.review.studies import StudyFolder
from tests.browser import Browser, browser

pytestmark = pytest.mark.browser

PHONE, DESK = 390, 1440
TRIALS = "[...document.querySelectorAll('#trials ~ div table')][0]"


@pytest.fixture(scope="module")
def page(leaves: StudyFolder) -> Path:
    return write_report(leaves).path


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as found:
        yield found


@pytest.mark.parametrize("width", [PHONE, DESK])
@pytest.mark.parametrize("dark", [False, True])
def test_page_loads_alone_without_errors_and_fits(
    chromium: Browser, page: Path, width: int, dark: bool
) -> None:
    assert chromium.open(page, width=width, dark=dark) < 3.0
    assert [url for url in chromium.requests if not url.startswith("data:")] == [page.as_uri()]
    assert chromium.errors == []
    assert chromium.run("document.documentElement.scrollWidth") <= width


def test_charts_fit_a_phone_and_can_be_read_there(chromium: Browser, page: Path) -> None:
    chromium.open(page, width=PHONE)
    charts = "[...document.querySelectorAll('svg.chart')]"
    outside = f"{charts}.filter(svg => svg.parentElement.scrollWidth > svg.parentElement.clientWidth).length"
    assert chromium.run(f"{charts}.length") >= 3 and chromium.run(outside) == 0
    script = f"{charts}.flatMap(svg => [...svg.querySelectorAll('text')].map(text => {{"
    script += "const at = text.getBoundingClientRect(), of = svg.getBoundingClientRect();"
    script += "return [text.textContent, at.height, at.left >= of.left - 1 && at.right <= of.right + 1]}))"
    assert [found for found in chromium.run(script) if found[0] and (found[1] < 9 or not found[2])] == []


def test_figures_are_not_empty(chromium: Browser, page: Path) -> None:
    chromium.open(page)
    script = """[...document.querySelectorAll('svg[role=img]')].map(svg => {
        const marks = svg.querySelectorAll('circle, polyline, rect:not(.frame), line:not(.grid)');
        return [svg.getAttribute('aria-label'), svg.getBoundingClientRect().width, marks.length];
    })"""
    figures = chromium.run(script)
    assert len(figures) >= 6
    assert all(label and width > 200 and marks > 0 for label, width, marks in figures), figures
    assert chromium.run("[...document.images].every(image => image.naturalWidth === 112)")


def test_table_of_trials_sorts_by_mouse_and_keyboard(chromium: Browser, page: Path) -> None:
    chromium.open(page)
    column = f"{TRIALS}.tHead.rows[0].cells[3]"
    values = f"[...{TRIALS}.tBodies[0].rows].map(row => Number(row.cells[3].textContent))"
    chromium.run(f"{column}.querySelector('button').click()")
    rising = chromium.run(values)
    assert rising == sorted(rising) and chromium.run(f"{column}.getAttribute('aria-sort')") == "ascending"
    chromium.run(f"{column}.querySelector('button').focus()")
    chromium.press("Enter")
    falling = chromium.run(values)
    assert falling == sorted(rising, reverse=True) != rising
    assert chromium.run(f"{column}.getAttribute('aria-sort')") == "descending"


def test_keyboard_reaches_the_skip_link_first(chromium: Browser, page: Path) -> None:
    chromium.open(page)
    chromium.press("Tab")
    assert chromium.run("document.activeElement.textContent") == "Skip to the content"


def test_cell_of_the_matrix_opens_its_images(chromium: Browser, page: Path) -> None:
    chromium.open(page)
    assert not chromium.run("document.getElementById('cells').open")
    chromium.run("document.querySelector('a[href=\"#cell-0-1\"]').click()")
    chromium.run("new Promise(done => setTimeout(done, 100))")
    assert chromium.run("document.getElementById('cells').open")
    place = chromium.run("document.getElementById('cell-0-1').getBoundingClientRect().top")
    assert -10 <= place < 900


def test_script_from_data_does_not_run(chromium: Browser, page: Path, tmp_path: Path) -> None:
    """The policy of the page holds even if something escaped the escaping."""
    text = page.read_text(encoding="utf-8")
    bad = text.replace('<main id="content">', '<main id="content"><script>window.ran = true</script>', 1)
    (tmp_path / "bad.html").write_text(bad, encoding="utf-8")
    chromium.open(tmp_path / "bad.html")
    assert chromium.run("window.ran === undefined")
    assert any("Content Security Policy" in error for error in chromium.errors)


@pytest.mark.parametrize("width", [PHONE, DESK])
@pytest.mark.parametrize("dark", [False, True])
def test_axe_finds_no_serious_fault(chromium: Browser, page: Path, width: int, dark: bool) -> None:
    axe = _axe()
    chromium.open(page, width=width, dark=dark)
    chromium.run("document.querySelectorAll('details').forEach(block => { block.open = true; })")
    chromium.run(axe)
    found: list[dict[str, Any]] = chromium.run(
        "axe.run({resultTypes: ['violations']}).then(found => found.violations.map("
        "({id, impact, nodes}) => ({id, impact, nodes: nodes.slice(0, 3).map(node => node.html.slice(0, 200))})))"
    )
    assert [one for one in found if one["impact"] in ("serious", "critical")] == []


def test_printed_page_shows_what_was_closed(chromium: Browser, page: Path, tmp_path: Path) -> None:
    chromium.open(page)
    chromium.print(tmp_path / "page.pdf")
    assert (tmp_path / "page.pdf").read_bytes().startswith(b"%PDF")
    assert not chromium.run("document.getElementById('cells').open")  # closed again afterwards


def _axe() -> str:
    """Return axe-core, https://github.com/dequelabs/axe-core, from the package that holds it."""
    spec = importlib.util.find_spec("axe_playwright_python")
    if spec is None or spec.origin is None:
        pytest.skip("axe-core is not installed (make install brings it)")
    return (Path(spec.origin).parent / "axe.min.js").read_text(encoding="utf-8")
