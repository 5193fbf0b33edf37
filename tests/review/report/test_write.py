"""The page of a study: whole, escaped, self-contained, and there for studies in any state."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from automl.errors import StudyError, UsageError
from automl.review.page.thumbnails import Thumbnails
from automl.review.report.shots import earlier_shots
from automl.review.report.study_report import report_of
from automl.review.report.verdict import verdict_of
from automl.review.report.write import Means, write_report
from automl.review.studies import StudyFolder, read_study
from tests.review.report.leaves import ODD
from tests.review.self_contained import require_self_contained
from tests.review.studies_on_disk import finished_study, running_study


@pytest.fixture(scope="module")
def page(leaves: StudyFolder) -> str:
    return write_report(leaves).path.read_text(encoding="utf-8")


def test_page_is_self_contained_and_escapes_names(page: str) -> None:
    require_self_contained(page)
    assert ODD not in page and "&lt;b onclick=x&gt;" in page
    assert "broken&lt;i&gt;.png: empty file" in page


def test_page_shows_errors_as_images_with_the_surest_first(page: str) -> None:
    errors = page[page.index('id="errors"') : page.index('id="data"')]
    files = re.findall(r'data-file="([^"]*)"', errors)
    assert files[0] == "b/20.png" and len(files) == 9  # confidences rise with the rows
    assert "birch, answered &lt;b" in errors


def test_cells_of_the_matrix_lead_to_their_images(page: str) -> None:
    assert re.search(r'<a href="#cell-0-1" aria-label="8 images of ash answered birch">\s*8</a>', page)
    cell = page[page.index('id="cell-0-1"') :]
    assert (
        "ash, answered birch: 8 images" in cell[:200] and "and 2 more" in cell[: cell.index('class="case"')]
    )


def test_page_has_the_search_with_charts_and_every_trial(page: str, leaves: StudyFolder) -> None:
    search = page[page.index('id="search"') :]
    assert search.count('role="img"') >= 3  # progress, timeline, parallel coordinates
    rows = search[search.index("All trials") :].split("</table>")[0].count("<tr")
    assert rows == 1 + 12
    assert "importance of hyperparameters is not shown" in search
    assert "(Dodge et al. 2019, section 3.1)" in search


def test_verdict_is_on_top_and_the_same_that_show_gives(page: str, leaves: StudyFolder) -> None:
    assert verdict_of(replace(leaves, result={"verdict": ["Known."]})) == ("Known.",)
    said = verdict_of(leaves)
    assert "85" in said[0] and "'ash' is the worst class" in said[1]
    assert said[2].startswith("What would help most: more images of 'ash': 8 of the 9 errors")
    for sentence in said:
        start = sentence.split("'")[0]
        assert start in page


def test_images_that_are_gone_come_from_the_earlier_report(
    leaves: StudyFolder, tmp_path: Path, page: str
) -> None:
    shutil.copytree(leaves.path, tmp_path / "leaves")
    moved = read_study(tmp_path / "leaves")
    moved = replace(moved, config={**moved.config, "data": str(tmp_path / "gone")})
    assert len(earlier_shots(moved.path / "report.html").files) > 20
    text = write_report(moved).path.read_text(encoding="utf-8")
    assert text.count('data-file="b/20.png"') == page.count('data-file="b/20.png"') > 0
    (moved.path / "report.html").unlink()
    text = write_report(moved).path.read_text(encoding="utf-8")
    assert "data-file" not in text and "cannot be opened any more" in text
    require_self_contained(text)


def test_no_image_is_opened_after_the_time_or_beyond_the_bytes(leaves: StudyFolder, tmp_path: Path) -> None:
    out = tmp_path / "x.html"
    text = write_report(leaves, means=Means(seconds=0.0), out=out).path.read_text(encoding="utf-8")
    assert "data-file" not in text and "not shown: there was no time" in text
    small = Thumbnails(None, most_bytes=10, earlier={"a": "x" * 8, "b": "y" * 8})
    assert [small("a"), small("b")] == ["x" * 8, ""]


def test_report_of_a_search_that_runs_says_that_there_is_no_test_score(tmp_path: Path) -> None:
    study = read_study(running_study(tmp_path))
    written = write_report(study)
    text = written.path.read_text(encoding="utf-8")
    assert written.verdict.state == "running" and "an automl study, unfinished;" in text
    assert written.verdict.sentences[0].startswith("This study has no result yet: 5 trials: ")
    assert "The holdout has not been read, so there is no test score." in text
    assert "automl resume leaves" in text and 'id="errors"' not in text
    repeat = text[text.index('<h2 id="repeat">') :]
    assert f"automl fit {study.path}/study.yaml --study leaves-again" in repeat and "The seed is 0;" in repeat
    require_self_contained(text)


def test_result_of_an_earlier_version_without_database_has_a_report(tmp_path: Path) -> None:
    written = write_report(read_study(finished_study(tmp_path)))
    text = written.path.read_text(encoding="utf-8")
    assert written.verdict.sentences[0].startswith("A resnet10t trained from scratch has accuracy 0.9200")
    assert "There is no timeline and no progress over time: the study&#39;s database is missing." in text
    assert "out of memory" in text  # a reason from trials.csv
    require_self_contained(text)


def test_damaged_database_costs_the_charts_and_not_the_report(leaves: StudyFolder, tmp_path: Path) -> None:
    shutil.copytree(leaves.path, tmp_path / "leaves")
    for extra in ("study.db-wal", "study.db-shm"):
        (tmp_path / "leaves" / extra).unlink(missing_ok=True)
    (tmp_path / "leaves" / "study.db").write_bytes(b"no database" * 200)
    text = write_report(read_study(tmp_path / "leaves")).path.read_text(encoding="utf-8")
    assert "There is no timeline and no progress over time: " in text and 'id="errors"' in text


def test_unusable_model_is_called_so(leaves: StudyFolder, tmp_path: Path) -> None:
    document = {**(leaves.result or {}), "usable": False}
    written = write_report(leaves, result=document, out=tmp_path / "x.html")
    assert written.verdict.state == "bad"
    assert written.verdict.sentences[1].startswith("Not usable: accuracy 0.8500 on 60 holdout images")
    assert 'class="verdict bad"' in written.path.read_text(encoding="utf-8")


def test_page_that_cannot_be_written_is_one_sentence(leaves: StudyFolder, tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match=r"the report must be written to '.*none/x.html', which is not possible"
    ):
        report_of(leaves.path, out=tmp_path / "none" / "x.html")


def test_report_names_the_studys_folder_in_its_commands(leaves: StudyFolder, tmp_path: Path) -> None:
    text = write_report(leaves, flags=" --directory 'my studies'", out=tmp_path / "x.html").path.read_text()
    assert "automl predict leaves --directory &#39;my studies&#39; new-images/" in text
    assert f"It was made by: {json.loads((leaves.path / 'result.json').read_text())['command']}" in text
    assert f"automl fit {leaves.path}/study.yaml --study leaves-again" in text


def test_a_lost_result_does_not_cost_the_page(tmp_path: Path) -> None:
    folder = finished_study(tmp_path)
    (folder / "holdout.json").write_text('{"reads": 1}', encoding="utf-8")
    page = report_of(folder).path
    before = page.read_bytes()
    (folder / "result.json").unlink()
    with pytest.raises(StudyError, match=r"stays as it is: the holdout was read, .* result\.json is missing"):
        report_of(folder)
    assert page.read_bytes() == before
    said = report_of(folder, out=tmp_path / "x.html").verdict.sentences
    assert "The holdout has not been read" not in " ".join(said) and "result.json is missing" in said[-1]
