"""Parts without class folders whose classes are in a table."""

from __future__ import annotations

from pathlib import Path

import pytest

from automl.data.sources import open_source
from tests.data.conftest import images_at, pack

_TRAIN = [f"train/{kind}/{k}{kind}.png" for kind in ("cat", "dog") for k in range(3)]


def _root(root: Path, images: list[str], **tables: str) -> Path:
    images_at(root, images)
    for name, text in tables.items():
        (root / name.replace("__", "/").replace("_csv", ".csv").replace("_txt", ".txt")).write_text(text)
    return root


def _parts(root: Path) -> dict[str, tuple[str, str]]:
    source = open_source(root)
    said = [source.classes[k] for k in source.targets.tolist()]
    return {name: (kind, part) for name, kind, part in zip(source.files, said, source.splits, strict=True)}


@pytest.mark.parametrize(
    "tables",
    [
        {"Test_csv": "Width,Path,ClassId\n9,test/7.png,dog\n9,test/8.png,cat\n"},
        {"test_csv": "id,label\n7,dog\n8,cat\n"},
        {"test_csv": "Path,ClassId\ntest\\7.png,dog\nD:\\x\\test\\8.png,cat\n"},
        {"test__labels_csv": "file,kind\n7.png,dog\n8.png,cat\n"},
        {"test_csv": "id,label,predicted\n7,dog,cat\n8,cat,dog\n"},
        {"test__test_annotations_txt": "7.png\tdog\t0\t0\t5\t5\n8.png\tcat\t0\t0\t5\t5\n"},
    ],
)
@pytest.mark.parametrize("around", ["", "data/"])
def test_images_of_a_flat_part_have_the_classes_of_its_table(
    tmp_path: Path, tables: dict[str, str], around: str
) -> None:
    inner = tmp_path / "x" / around
    _root(inner, [*_TRAIN, "test/7.png", "test/8.png", "val/1.png"], **tables)
    for data in (tmp_path / "x", pack(tmp_path / "x", tmp_path / "x.zip")):
        parts = _parts(data)
        assert {name: found for name, found in parts.items() if "test/" in name} == {
            f"{around}test/7.png": ("dog", "holdout"),
            f"{around}test/8.png": ("cat", "holdout"),
        }
        assert len(parts) == 8 and parts[f"{around}{_TRAIN[0]}"][1] == "train"
        notes = open_source(data).notes
        assert any(
            note.startswith(f"Classes from a table: 2 images of {around}test/ as holdout") for note in notes
        )
        assert "Left out, as no class folders are in it: val." in notes
        assert "1 image outside of the class folders ignored." in notes
        assert not any("names images in its column" in note for note in notes)


def test_class_folders_beside_a_labelled_test_are_for_training(tmp_path: Path) -> None:
    images = [f"{kind}/{k}{kind}.png" for kind in ("cat", "dog") for k in range(3)]
    root = _root(tmp_path, [*images, "test/7.png", "test/8.png"], test_csv="id,label\n7,dog\n8,cat\n")
    source = open_source(root)
    assert source.splits == ["train"] * 6 + ["holdout"] * 2
    assert not any(note.startswith("Left out") for note in source.notes)


@pytest.mark.parametrize(
    "tables",
    [
        {"sample_submission_csv": "id,label\n7,dog\n8,cat\n"},
        {"test_csv": "id,label\n7,cat\n8,cat\n"},  # predictions to be made
        {"test_csv": "id,label\n7,dog\n8,emu\n"},
        {"test_csv": "id,label\n7,dog\n"},
        {"test_csv": "id,label,guess\n7,dog,cat\n8,cat,dog\n"},
        {"test_csv": "id,prediction\n7,dog\n8,cat\n"},
        {"test_csv": "id,y_pred\n7,dog\n8,cat\n"},
        {"test_csv": "id,PredictedClass\n7,dog\n8,cat\n"},
        {"test__predictions_csv": "id,label\n7,dog\n8,cat\n"},
        {"test_csv": "\0"},
        {"train_csv": "id,label\n7,dog\n8,cat\n"},
    ],
)
def test_table_that_does_not_say_the_classes_of_a_part_leaves_it_out(
    tmp_path: Path, tables: dict[str, str]
) -> None:
    source = open_source(_root(tmp_path, [*_TRAIN, "test/7.png", "test/8.png"], **tables))
    assert len(source.files) == 6 and set(source.splits) == {"train"}
    assert "Left out, as no class folders are in it: test." in source.notes


def test_numbers_are_classes_in_a_column_of_a_usual_name_alone(tmp_path: Path) -> None:
    images = [f"train/{kind}/{k}{kind}.png" for kind in (0, 1) for k in range(3)] + [
        "test/7.png",
        "test/8.png",
    ]
    assert len(open_source(_root(tmp_path / "a", images, test_csv="id,sex\n7,0\n8,1\n")).files) == 6
    assert len(open_source(_root(tmp_path / "b", images, test_csv="id,class_id\n7,0\n8,1\n")).files) == 8
