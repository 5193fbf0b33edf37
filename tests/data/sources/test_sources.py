"""The contract of all sources, and how sources are found."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from automl.data.sources import SOURCES, open_source
from automl.data.sources.base import Source
from automl.errors import DataError
from tests.data.conftest import MakeFolder, fingerprint, pack, pack_tar, random_image
from tests.data.sources.hubs_on_disk import write_mnist


class _Pairs:
    """A map-style Dataset without torch."""

    classes = ("no", "yes")

    def __len__(self) -> int:
        return 4

    def __getitem__(self, i: int) -> tuple[Image.Image, int]:
        return random_image(i), i % 2


def _saved(folder: Path) -> Path:
    """A set that the hub's library has saved."""
    import datasets

    cells = {"image": [random_image(i) for i in range(4)], "label": ["a", "b", "a", "b"]}
    datasets.Dataset.from_dict(cells).cast_column("image", datasets.Image()).save_to_disk(str(folder))
    return folder


@pytest.fixture(params=[kind.name for kind in SOURCES])
def source(
    request: pytest.FixtureRequest,
    make_folder: MakeFolder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Source]:
    if request.param == "hub":
        pytest.importorskip("datasets", reason="needs automl[hf]")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    write_mnist(tmp_path / "torch" / "datasets")
    folder = make_folder({"red apple": 3, "größe 图": 2})
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.png"))
    table = pd.DataFrame({"image": names, "label": [name.split("/")[0] for name in names]})
    table.to_csv(folder / "list.csv", index=False)
    given: dict[str, Any] = {
        "folder": folder,
        "zip": pack(folder, tmp_path / "photos.zip"),
        "tar": pack_tar(folder, tmp_path / "photos.tar.gz"),
        "manifest": folder / "list.csv",
        "frame": table.assign(image=[str(folder / name) for name in names]),
        "dataset": _Pairs(),
        "digits": "digits",
        "torchvision": "torchvision:MNIST",
        "hub": f"hf:{_saved(tmp_path / 'saved')}" if request.param == "hub" else None,
        "arrays": (
            np.random.default_rng(0).integers(0, 256, (4, 6, 6, 3), dtype=np.uint8),
            ["a", "b", "a", "b"],
        ),
    }
    opened = open_source(given[request.param])
    yield opened
    opened.close()


def test_source_has_one_entry_a_row(source: Source) -> None:
    n = len(source.files)
    assert n == len(source.splits) == len(source.targets) == len(source.groups)
    assert len(set(source.files)) == n
    assert source.targets.dtype == np.int64
    assert source.task == "classification"


def test_source_classes_are_sorted_and_used(source: Source) -> None:
    assert list(source.classes) == sorted(source.classes)
    assert set(source.targets.tolist()) == set(range(len(source.classes)))


def test_source_load_gives_the_decoded_bytes(source: Source) -> None:
    assert np.array_equal(np.asarray(source.load(1)), np.asarray(source.decode(source.read(1))))


def test_source_fingerprint_agrees_with_known_digests(source: Source) -> None:
    digests = [hashlib.sha256(source.read(i)).hexdigest() for i in range(len(source.files))]
    assert source.content(digests) == fingerprint(source)
    assert source.content(["other", *digests[1:]]) != fingerprint(source)


def test_source_outline_says_without_reading_whether_labels_differ(source: Source) -> None:
    outline = source.outline()
    assert source.outline() == outline
    source.targets = np.roll(np.asarray(source.targets), 1)
    assert (source.outline() == outline) == (source.name in ("arrays", "digits"))  # rows in any order
    source.targets = np.zeros(len(source.targets), dtype=np.int64)
    assert source.outline() != outline


def test_source_state_repeats(source: Source) -> None:
    assert source.state() == source.state()


def test_folder_and_its_zip_have_the_same_fingerprint(make_folder: MakeFolder, tmp_path: Path) -> None:
    folder = make_folder({"a": 2, "b": 2})
    packed = open_source(pack(folder, tmp_path / "x.zip"))
    assert fingerprint(open_source(folder)) == fingerprint(packed)
    packed.close()


def test_text_of_a_path_opens_the_folder(make_folder: MakeFolder) -> None:
    assert open_source(str(make_folder({"a": 2, "b": 2}))).classes == ("a", "b")


def test_missing_path_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"there is no file or folder '.*nowhere'"):
        open_source(tmp_path / "nowhere")


def test_other_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("a,b")
    with pytest.raises(DataError, match="a folder of class folders .*is none of these"):
        open_source(tmp_path / "x.txt")


def test_other_type_is_refused() -> None:
    with pytest.raises(DataError, match="not 'int'"):
        open_source(7)


def test_four_arrays_are_refused() -> None:
    with pytest.raises(DataError, match="not as 4 values"):
        open_source((1, 2, 3, 4))


def test_third_array_is_the_group_of_each_image() -> None:
    pixels = np.arange(256, dtype=np.uint8).reshape(4, 8, 8)
    labels, groups = [0, 1, 0, 1], ["a", "a", None, 7]
    pictures = [Image.fromarray(image) for image in pixels]
    for images in (pixels, pictures, [_png(picture) for picture in pictures]):
        source = open_source((images, labels, groups))
        assert list(source.groups) == ["a", "a", "", "7"]
        with pytest.raises(DataError, match="groups must have one entry for each of 4 images, not 3"):
            open_source((images, labels, groups[:3]))
        with pytest.raises(DataError, match="groups must be a list or an array, not 3"):
            open_source((images, labels, 3))


def _png(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


def test_unknown_task_names_the_closest() -> None:
    with pytest.raises(DataError, match="did you mean 'regression'"):
        open_source("digits", task="regresion")


@pytest.mark.parametrize("task", ["multilabel", "regression"])
def test_other_task_is_refused(task: str) -> None:
    with pytest.raises(DataError, match="the task must be 'classification' for 'digits'"):
        open_source("digits", task=task)


def test_target_without_a_table_is_refused() -> None:
    with pytest.raises(DataError, match="a target names the column of a table"):
        open_source("digits", target="label")


def test_path_that_no_system_takes_and_a_pipe_are_sentences(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the name of a file or folder must be shorter, but 'aaa"):
        open_source("a" * 5000)
    os.mkfifo(tmp_path / "x.csv")
    with pytest.raises(DataError, match="x.csv' is a pipe, a device or a socket: save its content to a file"):
        open_source(tmp_path / "x.csv")


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("x.xlsx", "save the sheet as CSV"),
        ("x.NPZ", "load it in Python"),
        ("x.rar", "unpack it"),
        ("x.csv.gz", "unpack it, and give what is in it"),
        ("x.json", "as CSV or JSON lines"),
    ],
)
def test_files_of_other_kinds_say_what_to_do(tmp_path: Path, name: str, hint: str) -> None:
    (tmp_path / name).write_bytes(b"PK")
    with pytest.raises(DataError, match=f"cannot be read from .*{name}': .*{hint}"):
        open_source(tmp_path / name)


@pytest.mark.parametrize("name", ["", "  "])
def test_empty_name_is_not_the_current_folder(name: str) -> None:
    with pytest.raises(DataError, match="the data must have a name"):
        open_source(name)
