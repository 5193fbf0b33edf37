"""Classes and splits from paths."""

from __future__ import annotations

import random
import unicodedata

import pytest

from automl.data.sources.files.layout import printable, read_layout
from automl.errors import DataError


def test_class_folders_become_sorted_classes() -> None:
    layout = read_layout(["dog/1.jpg", "cat/1.jpg", "cat/2.PNG"], where="x")
    assert layout.classes == ("cat", "dog")
    assert layout.labels.tolist() == [1, 0, 0]
    assert layout.splits == ["", "", ""]


@pytest.mark.parametrize("val", ["val", "valid", "validation"])
def test_split_folders_name_the_split_of_each_row(val: str) -> None:
    layout = read_layout(["train/a/1.jpg", "train/b/1.jpg", f"{val}/a/2.jpg", "Test/b/3.jpg"], where="x")
    assert layout.splits == ["train", "train", "val", "holdout"]
    assert layout.classes == ("a", "b")


def test_class_named_train_beside_other_classes_is_a_class() -> None:
    layout = read_layout(["car/1.jpg", "plane/2.jpg", "train/3.jpg"], where="x")
    assert layout.classes == ("car", "plane", "train")
    assert set(layout.splits) == {""}


def test_folder_beside_two_splits_is_ignored_and_reported() -> None:
    paths = ["train/a/1.jpg", "train/b/1.jpg", "test/a/2.jpg", "test/b/1.jpg", "masks/a/1.png"]
    layout = read_layout(paths, where="x")
    assert layout.kept.tolist() == [0, 1, 2, 3]
    assert "masks" in " ".join(layout.notes)


def test_deeper_folders_belong_to_the_class_at_the_top_and_a_single_one_is_a_class() -> None:
    assert read_layout(["cats/1.jpg", "cats/2.jpg"], where="x").classes == ("cats",)
    layout = read_layout(["a/x/y/1.jpg", "b/1.jpg"], where="x")
    assert layout.classes == ("a", "b")


@pytest.mark.parametrize("prefix", ["photos/", "one/two/"])
def test_single_folder_around_everything_is_looked_through(prefix: str) -> None:
    layout = read_layout([f"{prefix}train/a/1.jpg", f"{prefix}train/b/2.jpg"], where="x")
    assert layout.classes == ("a", "b")
    assert layout.splits == ["train", "train"]


def test_hidden_and_other_files_are_left_out_and_counted() -> None:
    paths = ["a/1.jpg", "a/.2.jpg", ".git/a/1.jpg", "__MACOSX/a/1.jpg", "a/notes.txt", "3.jpg", "b/1.jpg"]
    layout = read_layout(paths, where="x")
    assert layout.kept.tolist() == [0, 6]
    assert layout.notes == (
        "1 file without the extension of an image ignored: a/notes.txt.",
        "1 image outside of the class folders ignored.",
    )


def test_composed_and_decomposed_names_are_one_class() -> None:
    layout = read_layout(["caf\u00e9/1.jpg", "cafe\u0301/2.jpg", "tea/1.jpg"], where="x")
    assert layout.classes == ("caf\u00e9", "tea")


def test_no_image_at_all_is_refused() -> None:
    with pytest.raises(DataError, match="no image file was found in 'x'"):
        read_layout(["a/readme.txt"], where="x")
    with pytest.raises(DataError, match=r"in 'x' \(but 2 other files such as a/1.dcm\): put each class"):
        read_layout(["a/1.dcm", "b/1.npy"], where="x")


def test_images_without_class_folder_are_refused() -> None:
    with pytest.raises(DataError, match="lie in no class folder"):
        read_layout(["1.jpg", "2.jpg"], where="x")


def test_test_folder_without_train_folder_is_refused() -> None:
    with pytest.raises(DataError, match="must have a train folder beside it"):
        read_layout(["test/a/1.jpg", "val/a/2.jpg"], where="x")


def test_name_that_is_no_utf8_becomes_printable() -> None:
    assert printable("a\udcff.jpg") == "a\\xff.jpg"


# Each line: paths, the split of each class folder, and a word that the notes must have.
_TWO = ("a", "b")
_SPLITS = [
    ("Training/{}/1.jpg", "Testing/{}/1.jpg"),
    ("train/{}/1.jpg", "testing/{}/1.jpg"),
    ("training_set/{}/1.jpg", "test_set/{}/1.jpg"),
    ("seg_train/seg_train/{}/1.jpg", "seg_test/seg_test/{}/1.jpg"),
    ("TrainImages/{}/1.jpg", "TestImages/{}/1.jpg"),
    ("train2017/{}/1.jpg", "test2017/{}/1.jpg"),
    ("data/chest-train/{}/1.jpg", "data/chest-test/{}/1.jpg"),
    ("{}/train/1.jpg", "{}/test/1.jpg"),
    ("photos/{}/1.jpg", "photos/test/{}/1.jpg"),
]


@pytest.mark.parametrize(("train", "test"), _SPLITS)
def test_folders_named_like_splits_are_parts_and_told(train: str, test: str) -> None:
    paths = [form.format(name) for form in (train, test) for name in _TWO]
    layout = read_layout([*paths, "README.md"], where="x")
    assert (layout.classes, layout.splits) == (_TWO, ["train", "train", "holdout", "holdout"])
    assert layout.notes[0].startswith("Folders taken for parts of a split: ")


def test_validation_folder_beside_classes_is_the_validation_part() -> None:
    layout = read_layout(["a/1.jpg", "b/1.jpg", "val/a/1.jpg", "val/b/1.jpg"], where="x")
    assert (layout.classes, layout.splits) == (_TWO, ["train", "train", "val", "val"])
    assert "val/ as val; class folders beside them as train: a, b." in layout.notes[0]


@pytest.mark.parametrize(
    "name", ["test", "Test", "val", "unlabelled", "test_images", "holdout", "submission"]
)
def test_images_of_a_split_beside_classes_are_left_out_and_told(name: str) -> None:
    layout = read_layout(["NG/1.jpg", "OK/1.jpg", f"{name}/1.jpg"], where="x")
    assert layout.classes == ("NG", "OK")
    assert layout.notes[0].endswith(f"no class folders are in it: {name}; rename it if it is a class.")


def test_classes_that_are_called_like_splits_stay_classes_and_are_told() -> None:
    layout = read_layout(["invalid/1.jpg", "valid/2.jpg"], where="x")
    assert layout.classes == ("invalid", "valid")
    assert layout.notes == ("Named like parts of a split, but taken for classes: valid.",)
    layout = read_layout(["car/a/1.jpg", "plane/b/1.jpg", "train/steam/1.jpg"], where="x")
    assert layout.classes == ("car", "plane", "train")
    assert "taken for classes: train" in layout.notes[0]
    assert read_layout(["attest/1.jpg", "contest/2.jpg", "device/1.jpg"], where="x").notes == ()


def test_train_folder_of_one_class_is_refused_with_what_was_seen() -> None:
    paths = ["train/good/1.png", "test/good/1.png", "test/broken/1.png", "ground_truth/broken/1.png"]
    with pytest.raises(
        DataError, match="the train folder in 'x' holds only good, while broken are in other parts"
    ):
        read_layout([f"bottle/{path}" for path in paths], where="x")


def test_folders_beside_splits_inside_of_classes_are_ignored_and_told() -> None:
    paths = [f"{name}/{part}/1.png" for name in _TWO for part in ("train", "test", "ground_truth")]
    layout = read_layout(paths, where="x")
    assert (layout.classes, sorted(set(layout.splits))) == (_TWO, ["holdout", "train"])
    assert "Folders beside them ignored: a/ground_truth, b/ground_truth." in layout.notes


def test_images_in_split_folders_beside_others_are_refused() -> None:
    with pytest.raises(
        DataError, match="must hold class folders to be parts of a split, but hold images beside masks"
    ):
        read_layout(["train/1.jpg", "test/1.jpg", "masks/1.jpg"], where="x")


def test_part_without_class_folders_is_left_out_and_told() -> None:
    layout = read_layout(["train/a/1.jpg", "train/b/1.jpg", "test/1.jpg"], where="x")
    assert (layout.classes, layout.splits) == (_TWO, ["train", "train"])
    assert layout.notes == (
        "Folders taken for parts of a split: train/ as train.",
        "Left out, as no class folders are in it: test.",
        "1 image outside of the class folders ignored.",
    )


def test_names_of_folders_that_mean_a_part_and_a_class_are_read_as_both_and_told() -> None:
    paths = [
        f"{split}_{name}/{i}.png" for split in ("train", "test") for name in ("cat", "dog") for i in range(2)
    ]
    layout = read_layout(paths, where="x")
    assert layout.classes == ("cat", "dog")
    assert layout.splits == ["train"] * 4 + ["holdout"] * 4
    assert any("train_cat" in note and "a part of a split and a class" in note for note in layout.notes)


def test_classes_that_differ_in_signs_alone_are_not_put_together() -> None:
    paths = [f"{part}_{kind}/1.jpg" for part in ("train", "test") for kind in ("C", "C++", "Java")]
    with pytest.raises(DataError, match=r"but train_C, train_C\+\+ would be one class"):
        read_layout(paths, where="x")


@pytest.mark.parametrize("kinds", [("หมี", "หมู"), ("pâté", "pâte"), ("pa\u0302te\u0301", "pa\u0302te")])
def test_marks_in_names_of_a_part_and_a_class_are_parts_of_words(kinds: tuple[str, str]) -> None:
    layout = read_layout([f"{part}_{kind}/1.jpg" for part in ("train", "test") for kind in kinds], where="x")
    assert layout.classes == tuple(sorted(unicodedata.normalize("NFC", kind) for kind in kinds))
    assert layout.splits == ["train", "train", "holdout", "holdout"]


def test_classes_whose_names_begin_with_train_stay_classes_and_are_told() -> None:
    layout = read_layout(["train_station/1.png", "train_track/1.png", "test_tube/1.png"], where="x")
    assert layout.classes == ("test_tube", "train_station", "train_track")
    assert layout.notes == ("Taken for classes: test_tube, train_station, train_track.",)


_LANGUAGES = [
    ("Entrenamiento", "Prueba"),
    ("entra\u00eenement", "test"),
    ("Treino", "Teste"),
    ("Trainingsdaten", "Testdaten"),
    ("addestramento", "prova"),
    ("e\u011fitim", "test"),
    ("\u8bad\u7ec3\u96c6", "\u6d4b\u8bd5\u96c6"),
    ("\u5b66\u7fd2", "\u30c6\u30b9\u30c8"),
    ("conjunto_de_entrenamiento", "conjunto_de_prueba"),
    ("\u043e\u0431\u0443\u0447\u0435\u043d\u0438\u0435", "\u0442\u0435\u0441\u0442"),
]


@pytest.mark.parametrize(("train", "test"), _LANGUAGES)
def test_parts_may_be_named_in_other_languages(train: str, test: str) -> None:
    layout = read_layout([f"{part}/{name}/1.jpg" for part in (train, test) for name in _TWO], where="x")
    assert (layout.classes, layout.splits) == (_TWO, ["train", "train", "holdout", "holdout"])


def test_classes_of_a_part_in_other_letters_are_those_of_training_and_told() -> None:
    paths = ["train/Cat/1.jpg", "train/Polar Bear/1.jpg", "test/cat/1.jpg", "test/polar_bear/1.jpg"]
    layout = read_layout(paths, where="x")
    assert layout.classes == ("Cat", "Polar Bear")
    assert layout.labels.tolist() == [0, 1, 0, 1]
    assert any("cat as Cat, polar_bear as Polar Bear" in note for note in layout.notes)
    # Two classes of training that look alike: nothing says which one is meant.
    layout = read_layout(["train/Cat/1.jpg", "train/cat/1.jpg", "test/CAT/1.jpg"], where="x")
    assert layout.classes == ("CAT", "Cat", "cat")


# Paths, the classes, the splits, and a word of the note.
_KINDS: list[tuple[list[str], tuple[str, ...], set[str], str]] = [
    (
        ["labeled/a/1.jpg", "labeled/b/1.jpg", "unlabeled/1.jpg"],
        _TWO,
        {""},
        "The images with labels are those in labeled; without labels, and left out: unlabeled.",
    ),
    (
        ["labelled/a/1.jpg", "labelled/b/1.jpg", "unlabelled/x/1.jpg", "test/a/1.jpg", "test/b/1.jpg"],
        _TWO,
        {"train", "holdout"},
        "left out: unlabelled.",
    ),
    (
        ["images/a/1.jpg", "images/b/1.jpg", "masks/a/1.png", "annotations/b/1.png"],
        _TWO,
        {""},
        "The images are those in images/; left out beside it: annotations, masks.",
    ),
    (
        [
            f"{part}/{kind}/{name}/1.jpg"
            for part in ("train", "test")
            for kind in ("images", "masks")
            for name in _TWO
        ],
        _TWO,
        {"train", "holdout"},
        "The images are those in test/images/, train/images/; left out beside them: test/masks, train/masks.",
    ),
    (
        [f"fold_{k}/{name}/1.jpg" for k in (1, 2, 10) for name in _TWO],
        _TWO,
        {""},
        "Folders with the same classes put together: fold_1, fold_10, fold_2; the split is drawn from all of them.",
    ),
    (
        [f"Fold{k}/{part}/{name}/1.jpg" for k in (1, 2) for part in ("train", "test") for name in _TWO],
        _TWO,
        {"train", "holdout"},
        "Folds of a cross-validation, of which Fold1/ is used",
    ),
    (
        [f"{place}/{name}/1.jpg" for place in ("amazon", "webcam") for name in ("bike", "mug")],
        ("amazon", "webcam"),
        {""},
        "Taken for classes: amazon, webcam; the folders in them are not used, though each has bike, mug",
    ),
]


@pytest.mark.parametrize(("paths", "classes", "splits", "note"), _KINDS)
def test_folders_that_are_neither_classes_nor_parts_are_looked_through_and_told(
    paths: list[str], classes: tuple[str, ...], splits: set[str], note: str
) -> None:
    for wrapper in ("", "data/"):
        layout = read_layout([wrapper + path for path in paths], where="x")
        assert (layout.classes, set(layout.splits)) == (classes, splits)
        assert any(note in said for said in layout.notes), layout.notes


@pytest.mark.parametrize(
    "paths",
    [
        ["images/train/1.jpg", "images/val/2.jpg", "labels/train/1.txt", "labels/val/2.txt"],
        ["train/images/1.jpg", "test/images/2.jpg", "train/labels/1.txt", "test/labels/2.txt"],
        ["images/1.jpg", "annotations/1.xml"],
        ["images/1.jpg", "masks/1.png"],
    ],
)
def test_boxes_and_masks_are_told_to_be_no_classes(paths: list[str]) -> None:
    side = next(path for path in paths if "image" not in path)
    with pytest.raises(
        DataError, match=rf"lie in no class folder \({side} beside them may say what is where"
    ):
        read_layout(paths, where="x")


def test_classes_called_like_folds_or_masks_stay_classes() -> None:
    assert read_layout(["part1/1.jpg", "part2/1.jpg"], where="x").classes == ("part1", "part2")
    assert read_layout(["mask/1.jpg", "no_mask/1.jpg"], where="x").classes == ("mask", "no_mask")
    assert read_layout(["labels/1.jpg", "stickers/1.jpg"], where="x").classes == ("labels", "stickers")


def test_folders_inside_of_classes_are_told() -> None:
    paths = ["animal/cat/1.jpg", "animal/dog/1.jpg", "plant/oak/1.jpg", "plant/rose/1.jpg"]
    layout = read_layout(paths, where="x")
    assert layout.classes == ("animal", "plant")
    told = (
        "Folders inside of class folders are not told apart: animal/cat, animal/dog, plant/oak, plant/rose."
    )
    assert layout.notes == (told,)
    assert read_layout(["a/images/1.jpg", "b/images/1.jpg"], where="x").notes == ()


@pytest.mark.parametrize(
    ("name", "split"),
    [("train_val", "train"), ("test_unlabeled", ""), ("unlabelled_train", ""), ("val_test", None)],
)
def test_name_of_two_parts_means_one_of_them(name: str, split: str | None) -> None:
    paths = [f"{top}/{part}/1.jpg" for top in ("train", name) for part in _TWO]
    layout = read_layout([*paths, "test/a/1.jpg", "test/b/1.jpg"], where="x")
    assert layout.classes == _TWO
    assert layout.splits == ["train", "train", *([split] * 2 if split else []), "holdout", "holdout"]


def test_folders_that_systems_make_hold_no_images() -> None:
    paths = ["cat/1.jpg", "cat/@eaDir/1.jpg/SYNOPHOTO_THUMB_M.jpg", "dog/1.jpg", "$RECYCLE.BIN/a/2.jpg"]
    layout = read_layout(paths, where="x")
    assert (layout.classes, layout.kept.tolist()) == (("cat", "dog"), [0, 2])


def test_image_outside_of_classes_with_parts_is_left_out() -> None:
    paths = ["1.jpg", *(f"{name}/{part}/1.jpg" for name in _TWO for part in ("train", "test"))]
    layout = read_layout(paths, where="x")
    assert (layout.classes, layout.kept.tolist()) == (_TWO, [1, 2, 3, 4])
    assert "1 image outside of the class folders ignored." in layout.notes


_WORDS = [
    "train",
    "Test",
    "val",
    "unlabeled",
    "labeled",
    "images",
    "masks",
    "labels",
    "fold_1",
    "fold_2",
    "cat",
    "Cat",
]
_WORDS += [
    "dog ",
    "train_cat",
    "test_cat",
    "data",
    "Prueba",
    "train_val",
    "test_unlabeled",
    "01",
    "@eaDir",
    ".x",
    "\udcff",
]


def test_any_mixture_of_folders_is_read_or_refused_and_what_is_left_out_is_told() -> None:
    rng = random.Random(0)
    read = 0
    for _ in range(2000):
        levels = [rng.sample(_WORDS, rng.randrange(1, 5)) for _ in range(3)]
        depths = [rng.randrange(4) for _ in range(rng.randrange(1, 25))]
        paths = sorted(
            {"/".join([*map(rng.choice, levels[:depth]), f"{rng.randrange(9)}.jpg"]) for depth in depths}
        )
        try:
            layout = read_layout(paths, where="x")
        except DataError as error:
            assert "\n" not in str(error)
            continue
        read += 1
        assert len(layout.kept) == len(layout.labels) == len(layout.splits)
        assert sorted(set(layout.labels.tolist())) == list(range(len(layout.classes)))
        shown = [path for path in paths if ".x" not in path and "@eaDir" not in path]
        assert len(layout.kept) == len(shown) or layout.notes, paths
    assert read > 500
