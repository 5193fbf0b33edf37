"""Classes in the names of files: cat.0.jpg, dog.17.jpg."""

from __future__ import annotations

import unicodedata
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from automl.data.sources import open_source
from automl.data.sources.files import file_names
from automl.data.sources.files.file_names import read_file_names
from automl.data.sources.files.split_names import marks_as_letters
from automl.errors import DataError
from tests.data.conftest import fingerprint, images_at, pack, pack_tar

_FORMS = ["{}.{}", "{}_00{}", "{}-{}", "{} ({})", "{}{}", "{} {}", "{}_2_{}"]


def _names(*words: str, form: str = "{}.{}", n: int = 3, folder: str = "") -> list[str]:
    return [f"{folder}{form.format(word, k)}.jpg" for word in words for k in range(1, n + 1)]


@pytest.mark.parametrize("form", _FORMS)
@pytest.mark.parametrize("folder", ["", "photos/", "a/train/"])
def test_word_before_a_number_is_the_class_in_one_folder_and_told(form: str, folder: str) -> None:
    layout, why = read_file_names(_names("cat", "dog", form=form, folder=folder))
    assert layout is not None and why == ""
    assert (layout.classes, layout.labels.tolist()) == (("cat", "dog"), [0, 0, 0, 1, 1, 1])
    assert layout.splits == [""] * 6
    first = f"{form.format('cat', 1)}.jpg"
    assert layout.notes[0] == f"Labels from file names, as in {first} the class 'cat': cat 3, dog 3."


@pytest.mark.parametrize(
    "form", ["{k}_{word}", "{k:03}-{word}", "{k} {word}", "{k}{word}", "IMG_{k:04}_{word}", "{k}_{word}_1"]
)
@pytest.mark.parametrize("folder", ["", "photos/"])
def test_word_after_a_number_is_the_class_where_each_number_has_one(
    tmp_path: Path, form: str, folder: str
) -> None:
    words = ("cat", "golden retriever")
    names = [f"{folder}{form.format(k=k, word=words[k % 2])}.png" for k in range(10)]
    root = images_at(tmp_path / "x", names)
    for data in (root, pack(root, tmp_path / "x.zip")):
        source = open_source(data)
        assert source.classes == words
        assert {
            Path(name).name: int(target) for name, target in zip(source.files, source.targets, strict=True)
        } == {Path(name).name: k % 2 for k, name in enumerate(names)}
        assert source.notes[0].endswith("cat 5, golden retriever 5.")


@pytest.mark.parametrize(
    "words",
    [
        ("หมี", "หมู", "แมว"),
        ("बिल्ली", "बिल्ला", "कुत्ता"),
        ("pâté", "pâte", "thé"),
        ("ba\u0300", "ba\u0301"),
        ("می\u200cخورد", "می"),
    ],
)
@pytest.mark.parametrize("form", ["{k}_{word}", "{word}_{k}", "{word}{k}"])
@pytest.mark.parametrize("letters", ["NFC", "NFD"])
def test_marks_are_parts_of_words(words: tuple[str, ...], form: str, letters: Literal["NFC", "NFD"]) -> None:
    names = [form.format(k=k, word=words[k % len(words)]) for k in range(12)]
    layout, why = read_file_names([unicodedata.normalize(letters, f"{name}.jpg") for name in names])
    assert layout is not None, why
    assert layout.classes == tuple(sorted(unicodedata.normalize("NFC", word) for word in words))
    assert len(set(zip(layout.labels.tolist(), [k % len(words) for k in range(12)], strict=True))) == len(
        words
    )


@pytest.mark.parametrize(
    "words",
    [
        ("good", "good!", "not-good"),
        ("C", "C#", "C++"),
        ("A", "A+", "A-"),
        ("+C", "C"),
        ("stage Ⅰ", "stage Ⅱ"),
    ],
)
def test_signs_at_words_after_numbers_are_parts_of_them(words: tuple[str, ...]) -> None:
    layout, why = read_file_names([f"{k}_{words[k % len(words)]}.jpg" for k in range(12)])
    assert layout is not None, why
    assert layout.classes == tuple(sorted(words))


@pytest.mark.parametrize("form", ["{}_({})", "{} - {} (1)", "{}: {} #1", "{}={}.", "[{}] {}_"])
def test_signs_between_words_and_numbers_are_no_parts_of_words(form: str) -> None:
    layout, why = read_file_names([f"{form.format(k, ('cat', 'dog')[k % 2])}.jpg" for k in range(8)])
    assert layout is not None, why
    assert layout.classes == ("cat", "dog")


@pytest.mark.parametrize(
    "names",
    [
        [f"{k}_{'cat' if k % 2 else 'dog'}_{700 + k}.jpg" for k in range(8)],
        [f"{k}_{'cat_1' if k % 2 else 'dog_2'}.jpg" for k in range(8)],
        [f"{word}_2024010{k % 2}_{k}.jpg" for k in range(4) for word in ("cat", "dog")],
    ],
)
def test_numbers_after_words_that_do_not_repeat_and_dates_are_no_parts_of_them(names: list[str]) -> None:
    layout, why = read_file_names(names)
    assert layout is not None, why
    assert layout.classes == ("cat", "dog")


def test_words_of_programs_may_be_classes_after_numbers_beside_none_others_alone() -> None:
    names = [f"{k}_{('street scene', 'dog')[k % 2]}.jpg" for k in range(8)]
    layout, _ = read_file_names(names)
    assert layout is not None and layout.classes == ("dog", "street scene")


def test_folder_and_archives_are_read_alike_and_others_told(tmp_path: Path) -> None:
    names = [*_names("Abyssinian", "american_bulldog", form="{}_{}"), "Abyssinian_1_mask.png"]
    root = images_at(tmp_path / "pets", names)
    (root / "README.md").write_text("about")
    sources = [
        open_source(root),
        open_source(pack(root, tmp_path / "pets.zip")),
        open_source(pack_tar(root, tmp_path / "pets.tar")),
    ]
    for source in sources:
        assert (source.task, source.classes) == ("classification", ("Abyssinian", "american_bulldog"))
        assert len(source.files) == 6
        told = " ".join(source.notes)
        assert "README.md" in told and "Left out as masks" in told
    assert len({fingerprint(source) for source in sources}) == 1
    for source in sources:
        source.close()


def test_numbered_images_of_a_test_folder_are_left_out_and_told() -> None:
    numbered = [f"dogs-vs-cats/test1/{k}.jpg" for k in range(4)]
    layout, _ = read_file_names([*numbered, *_names("cat", "dog", folder="dogs-vs-cats/train/")])
    assert layout is not None
    assert (len(layout.kept), layout.classes) == (6, ("cat", "dog"))
    assert "Left out, as no file name in it says a class: dogs-vs-cats/test1/." in layout.notes


def test_folders_of_a_split_with_classes_in_names_are_parts() -> None:
    names = [name for part in ("train", "val", "test") for name in _names("cat", "dog", folder=f"{part}/")]
    layout, _ = read_file_names(names)
    assert layout is not None
    assert layout.splits == ["train"] * 6 + ["val"] * 6 + ["holdout"] * 6
    assert (
        "Folders taken for parts of a split: train/ as train, val/ as val, test/ as holdout." in layout.notes
    )


@pytest.mark.parametrize(
    ("names", "why"),
    [
        (_names("IMG", "DSC", form="{}_000{}"), "cameras and programs give names .* that begin with 'DSC'"),
        (_names("cat", "Screen Shot", form="{} {}"), "cameras and programs give names .* 'Screen Shot'"),
        (
            _names("WhatsApp Image", "cat", form="{} {}"),
            "cameras and programs give names .* 'WhatsApp Image'",
        ),
        (_names("train_cat", "test_cat", form="{}_{}"), "those that begin with 'test_cat' may mean a part"),
        (_names("P1a", "P2b", form="{}_{}"), "there are numbers inside of names .* begin with 'P1a'"),
        (_names("left", "right", form="{1}_{0}"), "names such as 1_left.jpg and 1_right.jpg have one number"),
        (
            [f"{k}_{side}.jpg" for k in range(8) for side in ("left_1", "right_2")],
            "names such as 0_left_1.jpg and 0_right_2.jpg have one number",
        ),
        (
            [f"{k}_{('grade_1', 'grade_2', 'normal')[k % 3]}.jpg" for k in range(12)],
            r"the numbers after 'grade' in names such as 0_grade_1.jpg and 1\d*_grade_2.jpg may be a part",
        ),
        (
            [f"{k}_{('grade', 'grade 2', 'normal')[k % 3]}.jpg" for k in range(12)],
            r"the numbers after 'grade' in names such as 0_grade.jpg and 1\d*_grade 2.jpg may be a part",
        ),
        (
            _names("grade_1", "grade_2", "normal_0", form="{}_00{}"),
            "the numbers after 'grade' in names such as grade_1_001.jpg and grade_2_001.jpg may be a part",
        ),
        (
            [f"{k}_{'ab'[k % 2]}2c.jpg" for k in range(8)],
            "there are numbers inside of names .* end with 'a2c'",
        ),
        (
            [f"{k}_{('img', 'frame')[k % 2]}.jpg" for k in range(8)],
            "cameras and programs .* end with 'frame'",
        ),
        (
            [f"{k}_{('train', 'cat')[k % 2]}.jpg" for k in range(8)],
            "those that end with 'train' may mean a part",
        ),
        (["0_cat.jpg", "1_dog.jpg", "2_cat.jpg"], "fewer than 3 of 3 names end with 'cat'"),
        ([*_names("cat", "dog"), "fish.1.jpg"], "fewer than 3 of 7 names begin with 'fish'"),
        ([*_names("cat", "dog"), "cat.jpg"], "1 name such as .*cat.jpg.* is not a word and a number"),
    ],
)
def test_names_that_mean_no_classes_are_refused_with_the_reason(
    tmp_path: Path, names: list[str], why: str
) -> None:
    said = f"lie in no class folder: .*; the names of the files are not taken for classes, as {why}"
    with pytest.raises(DataError, match=said):
        open_source(images_at(tmp_path, names))


@pytest.mark.parametrize(
    "names",
    [
        _names("IMG"),  # one camera
        _names("cat"),
        [f"{k}.jpg" for k in range(9)],
        ["a.jpg", "b.jpg", "lake.jpg", "tree_1.jpg"],
        [*(f"{word}.jpg" for word in ("beach", "me at work", "x", "y", "z")), "cat3.jpg", "tree12.jpg"],
        [*(f"IMG_000{k}.jpg" for k in range(3)), "IMG_0004_edit.jpg", "IMG_0005_crop.jpg"],
        [f"{k}{'_dog' if k < 3 else '_cat' if k < 6 else ''}.jpg" for k in range(12)],  # half of them
        _names("cat", folder="x/") + _names("dog", folder="y/"),  # folders that are no parts
    ],
)
def test_other_names_are_nothing_to_tell(names: list[str]) -> None:
    assert read_file_names(names) == (None, "")


def test_class_folders_and_tables_come_before_names_of_files(tmp_path: Path) -> None:
    folders = images_at(tmp_path / "folders", _names("cat", "dog", folder="x/") + _names("cat", folder="y/"))
    assert open_source(folders).classes == ("x", "y")
    flat = images_at(tmp_path / "flat", _names("cat", "dog"))
    (flat / "labels.csv").write_text("image,label\ncat.1.jpg,a\ndog.1.jpg,b\n")
    assert open_source(flat).classes == ("a", "b")


def test_names_of_which_most_are_anything_do_not_hide_xml(tmp_path: Path) -> None:
    names = ["beach", "x", "y", "z", "cat3", "tree12"]
    root = images_at(tmp_path, [f"{name}.png" for name in names])
    for k, name in enumerate(names):
        text = f"<annotation><filename>{name}.png</filename><object><name>{'ab'[k % 2]}</name></object></annotation>"
        (root / f"{name}.xml").write_text(text)
    assert open_source(root).classes == ("a", "b")


def test_name_of_a_megabyte_in_an_archive_takes_no_time() -> None:
    names = [*_names("cat", "dog"), f"{'a1_' * 2**19}.jpg", f"{'1_a' * 2**19}.jpg", f"{'_1' * 120}.jpg"]
    assert read_file_names(names)[0] is None


@pytest.mark.parametrize("form", ["{word}.{k}.jpg", "{k}_{word}.jpg", "IMG_{k}_{word} ({k}).jpg"])
def test_names_that_differ_in_numbers_alone_are_taken_apart_once(
    form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[str] = []

    def counted(text: str) -> str:
        taken.append(text)
        return marks_as_letters(text)

    monkeypatch.setattr(file_names, "marks_as_letters", counted)
    words = ("หมี", "собака", "zebra")
    paths = [form.format(word=words[k % 3], k=k) for k in range(3000)]
    layout, why = read_file_names(paths)
    assert layout is not None, why
    assert layout.classes == tuple(sorted(words))
    assert np.bincount(layout.labels).tolist() == [1000] * 3
    assert len(taken) <= 2 * len(words)


def test_numbers_inside_of_words_and_of_any_script_stay_what_they_are() -> None:
    names = [f"{k}_C3PO_{n}" for k, n in ((1, 7), (2, 7))] + ["٣_R2D2", "4_R2D2", "5_R2D2"]
    layout, why = read_file_names([f"{name}.png" for name in names])
    assert layout is None
    assert "'C3PO'" in why
