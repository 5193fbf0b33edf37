"""`automl inspect` on small folders."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import automl
from automl.cli import main


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Twelve cats and two dogs: a cat twice, a copy of it among the dogs, and a broken file."""
    rng = np.random.default_rng(0)
    for name, count in (("cat", 12), ("dog", 2)):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for i in range(count):
            pixels = rng.integers(0, 256, (12, 12, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photos" / name / f"{i}.png")
    shutil.copy(tmp_path / "photos" / "cat" / "0.png", tmp_path / "photos" / "cat" / "twin.png")
    shutil.copy(tmp_path / "photos" / "cat" / "1.png", tmp_path / "photos" / "dog" / "wrong.png")
    (tmp_path / "photos" / "dog" / "broken.png").write_bytes(b"\x89PNG")
    return tmp_path / "photos"


def test_table_names_what_was_found(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(photos)]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert "photos: 16 images for classification" in out
    assert [line.split()[:2] for line in out.splitlines() if line.startswith(("cat", "dog"))] == [
        ["cat", "13"],
        ["dog", "3"],
    ]
    assert "2 groups of byte-equal images" in out
    assert "cat/0.png = cat/twin.png" in out
    assert "1 group of equal or nearly equal images with different labels" in out
    assert "dog/broken.png: truncated" in out
    assert out.count("broken.png") == 1


def test_clean_data_say_what_was_looked_for_as_the_page_does(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for i in range(12):
            pixels = rng.integers(0, 256, (12, 12, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photos" / name / f"{i}.png")
    assert main(["inspect", str(tmp_path / "photos"), "--html", str(tmp_path / "x.html")]) == 0
    (said,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("No problems")]
    assert f"<p>{said}</p>" in (tmp_path / "x.html").read_text(encoding="utf-8")


def test_json_is_the_data_report(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(photos), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["n_images"] == 16
    assert {finding["kind"] for finding in facts["findings"]} == {"copies", "two_labels", "small_class"}
    assert facts["bad"] == [{"file": "dog/broken.png", "reason": "truncated"}]


def test_files_are_cut_short_unless_all_are_asked_for(
    photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for i in range(12):
        (photos / "dog" / f"empty{i}.png").write_bytes(b"")
    main(["inspect", str(photos)])
    short = capsys.readouterr().out
    main(["inspect", str(photos), "--all"])
    whole = capsys.readouterr().out
    assert "... and 3 more; --all lists them" in short
    assert short.count("empty file") == 9
    assert whole.count("empty file") == 12


def test_data_that_cannot_be_divided_are_reported_all_the_same(
    photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(photos / "dog")
    assert main(["inspect", str(photos)]) == 0
    assert (
        "No study can use these data yet: classification needs images of at least 2"
        in capsys.readouterr().out
    )


def test_regression_shows_ranges(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = "".join(f"cat/{i}.png,{i + 0.5}\n" for i in range(12))
    (photos / "ages.csv").write_text(f"path,age\n{rows}", encoding="utf-8")
    assert main(["inspect", str(photos / "ages.csv")]) == 0
    out = capsys.readouterr().out
    assert "12 images for regression" in out
    assert "min .. mean .. max of" in out


def test_page_shows_images_of_what_was_found(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (photos / "cat" / "0.png").rename(photos / "cat" / "<b>.png")
    page = photos.parent / "page.html"
    assert main(["inspect", str(photos), "--html", str(page)]) == 0
    text = page.read_text(encoding="utf-8")
    findings = text[: text.index('<h2 id="classes">')]
    assert findings.count("<figure><img") == 6  # two pairs of copies, one of which has two labels
    assert "cat/&lt;b&gt;.png" in text
    assert "<b>" not in text
    assert "dog/broken.png: truncated" in text
    capsys.readouterr()
    assert main(["inspect", str(photos), "--html", str(photos)]) == 2
    assert "--html must be a file that can be written" in capsys.readouterr().err


def test_folder_without_images_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(tmp_path)]) == 2
    assert "no image file was found" in capsys.readouterr().err


def test_size_that_is_no_number_is_refused(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(photos), "--img-size", "big"]) == 2
    assert "--img-size must be a whole number, got 'big'" in capsys.readouterr().err


def test_inspect_in_python_is_the_same_report(photos: Path) -> None:
    report = automl.inspect(photos, img_size=32)
    assert (report.n_images, report.img_size, len(report.bad)) == (16, 32, 1)
    arrays = automl.inspect(np.zeros((6, 8, 8), dtype=np.uint8), list("ababab"))
    assert [finding.kind for finding in arrays.findings][:2] == ["copies", "two_labels"]


def test_decoded_images_take_no_more_disk_than_they_may(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AUTOML_CACHE_DIR", str(tmp_path / "cache"))
    assert main(["inspect", str(photos), "--max-disk", "1K"]) == 0
    assert "16 images for classification" in capsys.readouterr().out
    assert not list((tmp_path / "cache").rglob("images.npy"))
    assert main(["inspect", str(photos), "--max-disk", "much"]) == 2
    assert "max_disk must" in capsys.readouterr().err


def test_page_replaces_no_image_and_no_table_of_labels(
    photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = photos / "ages.csv"
    table.write_text("path,age\ncat/1.png,1.5\n", encoding="utf-8")
    for path in (photos / "cat" / "0.png", table):
        before = path.read_bytes()
        assert main(["inspect", str(table), "--html", str(path)]) == 2
        assert "--html must" in capsys.readouterr().err and path.read_bytes() == before


def test_columns_and_leaks_are_taken_as_the_options_say(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(0)
    rows = ["image,picture,label,split,patient"]
    for i in range(30):
        Image.fromarray(rng.integers(0, 256, (9, 9, 3), dtype=np.uint8)).save(tmp_path / f"{i}.png")
        rows.append(f"{29 - i}.png,{i}.png,{'ab'[i % 2]},{'train' if i % 3 else 'test'},p{i // 6}")
    table = tmp_path / "t.csv"
    table.write_text("\n".join(rows) + "\n", encoding="utf-8")
    found = {}
    for how in ("keep", "drop", "redraw"):
        columns = ["--image-column", "picture", "--group-column", "patient", "--on-group-leak", how]
        assert main(["inspect", str(table), *columns, "--json"]) == 0
        report = json.loads(capsys.readouterr().out)
        (found[how],) = [said["headline"] for said in report["findings"] if said["kind"] == "group_leak"]
        assert any("'picture' names the images" in note for note in report["notes"])
    assert "--on-group-leak drop" in found["keep"]
    assert found["drop"].endswith("their training rows are left out.")
    assert len(set(found.values())) == 3
    assert main(["inspect", str(table), "--image-column", "pictures"]) == 2
    assert "unknown image column 'pictures': did you mean 'picture'" in capsys.readouterr().err


def test_names_of_classes_that_look_alike_or_hold_line_ends_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(0)
    for name in ("Cat", "cat", "two\nlines", "\x1b[31mred"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for i in range(4):
            pixels = rng.integers(0, 256, (9, 9, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photos" / name / f"{i}.png")
    assert main(["inspect", str(tmp_path / "photos")]) == 0
    out = capsys.readouterr().out
    assert "Names that differ only in case, spaces or punctuation: 'Cat', 'cat'." in out
    assert "\ntwo\\nlines " in out and r"\x1b[31mred" in out and "\x1b" not in out
    assert main(["inspect", str(tmp_path / "\x1b[31mno\nfolder")]) == 2
    err = capsys.readouterr().err
    assert r"\x1b[31mno\nfolder" in err and "\x1b" not in err and err.count("\n") == 1


def test_pipes_devices_and_endless_files_in_class_folders_are_waited_for_by_nobody(
    photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    os.mkfifo(photos / "cat" / "pipe.png")
    os.mkfifo(photos / "labels.csv")
    (photos / "cat" / "zero.png").symlink_to("/dev/zero")
    (photos / "dog" / "huge.png").touch()
    os.truncate(photos / "dog" / "huge.png", 10**12)
    assert main(["inspect", str(photos), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["n_images"] == 16
    assert {bad["file"] for bad in report["bad"]} == {"dog/broken.png", "dog/huge.png"}
    assert any("too large: 1.0 TB" in bad["reason"] for bad in report["bad"])
