"""A file that is named for an output costs nothing that is there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from automl.documents.output_file import generator, is_study, page_kind, require_output, table_kind
from automl.errors import UsageError

PAGE = page_kind("report")
TABLE = table_kind("table", lambda columns: list(columns) == ["file", "label"], certain=False)


def study(folder: Path) -> Path:
    (folder / "model").mkdir(parents=True)
    for name in ("study.yaml", ".running", "result.json", "report.html"):
        (folder / name).write_text("x", encoding="utf-8")
    return folder


def refused(path: Path, message: str, **given: Any) -> None:
    with pytest.raises(UsageError, match=message):
        require_output("--out", path, given.pop("kind", PAGE), **given)


def test_new_and_empty_files_and_earlier_ones_of_the_kind_may_be_written(tmp_path: Path) -> None:
    page, table, empty = tmp_path / "x.html", tmp_path / "x.csv", tmp_path / "empty"
    page.write_text(f"<!doctype html><head>{generator('report')}</head>", encoding="utf-8")
    table.write_text("file,label\na,b\n", encoding="utf-8")
    empty.touch()
    for path in (page, empty, tmp_path / "new"):
        require_output("--out", path, PAGE)
    require_output("--out", table, TABLE)


@pytest.mark.parametrize("text", ["file,label\na,b\n", generator("inspection"), "\x89PNG"])
def test_a_file_of_something_else_stays(tmp_path: Path, text: str) -> None:
    path = tmp_path / "precious"
    path.write_text(text, encoding="utf-8")
    refused(path, "--out must be a new file or an earlier report page of automl, but .*precious' holds some")


@pytest.mark.parametrize("name", ["result.json", "new.html", "model/new.html"])
def test_nothing_is_written_into_a_study_but_its_own_report(tmp_path: Path, name: str) -> None:
    folder = study(tmp_path / "leaves")
    refused(folder / name, "must not be a file inside a study, got .* in the study 'leaves'")
    other = study(tmp_path / "other")
    refused(folder / "report.html", "in the study 'leaves'", beside=other / "report.html")
    (folder / "report.html").write_text(generator("report"), encoding="utf-8")
    require_output("--out", folder / "report.html", PAGE, beside=folder / "report.html")
    (tmp_path / "way").symlink_to(folder)
    refused(tmp_path / "way" / "new.html", "in the study 'leaves'")


def test_a_configuration_alone_makes_no_study(tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text("data: photos\n", encoding="utf-8")
    assert not is_study(tmp_path)
    require_output("--out", tmp_path / "x.html", PAGE)


def test_the_data_and_label_tables_among_them_stay(tmp_path: Path) -> None:
    labels = tmp_path / "labels.csv"
    refused(labels, "must not be the data", data=[str(labels), None])
    labels.write_text("file,label\na,b\n", encoding="utf-8")
    refused(labels, "must be a new file or an earlier table", data=[tmp_path], kind=TABLE)
    refused(tmp_path, "Is a directory")
