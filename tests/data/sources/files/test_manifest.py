"""Tables of images."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path

import pandas as pd
import pytest

from automl.data.sources import open_source
from automl.errors import DataError
from tests.data.conftest import MakeFolder, encoded, fingerprint, pack, pack_tar, random_image


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with six images in pics/."""
    (tmp_path / "pics").mkdir()
    for i in range(6):
        random_image(i).save(tmp_path / "pics" / f"{i}.png")
    return tmp_path


def _write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def _rows(header: str, *labels: str) -> str:
    return "\n".join([header, *(f"pics/{i}.png,{label}" for i, label in enumerate(labels))]) + "\n"


def test_paths_are_relative_to_the_manifest(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/")
    source = open_source(_write(root / "birds.csv", _rows("image,label", "b", "a", "b")))
    assert (source.name, source.task, source.classes) == ("birds", "classification", ("a", "b"))
    assert source.files == ["pics/0.png", "pics/1.png", "pics/2.png"]
    assert source.targets.tolist() == [1, 0, 1]
    assert source.read(1) == (root / "pics" / "1.png").read_bytes()


@pytest.mark.parametrize("column", ["image", "image_path", "file_name", "path", "Image"])
@pytest.mark.parametrize("label", ["label", "target", "class"])
def test_usual_column_names_are_known(root: Path, column: str, label: str) -> None:
    source = open_source(_write(root / "x.csv", _rows(f"{column},{label}", "b", "a")))
    assert source.classes == ("a", "b")


def test_classes_stay_as_they_are_written(root: Path) -> None:
    source = open_source(_write(root / "x.csv", _rows("path,label", "007", "NA", "None", "1e3")))
    assert source.classes == ("007", "1e3", "NA", "None")


def test_semicolons_and_a_byte_order_mark_are_read(root: Path) -> None:
    (root / "x.csv").write_bytes("\ufeffimage;label\npics/0.png;ä\npics/1.png;b\n".encode())
    assert open_source(root / "x.csv").classes == ("b", "ä")


def test_split_group_and_is_valid_are_respected(root: Path) -> None:
    rows = [["train", "g"], ["validation", ""], ["test", "h"], ["", ""]]
    frame = pd.DataFrame(
        [[f"pics/{i}.png", "ab"[i % 2], *row] for i, row in enumerate(rows)],
        columns=["image", "label", "split", "group"],
    )
    frame.to_csv(root / "x.csv", index=False)
    source = open_source(root / "x.csv")
    assert source.splits == ["train", "val", "holdout", ""]
    assert source.groups == ["g", "", "h", ""]
    valid = open_source(_write(root / "y.csv", _rows("image,label,is_valid", "a,False", "b,True")))
    assert valid.splits == ["train", "val"]


def test_parquet_with_lists_and_bytes_is_read(root: Path) -> None:
    frame = pd.DataFrame(
        {
            "image": [{"bytes": encoded(random_image(i)), "path": f"{i}.png"} for i in range(3)],
            "label": [["x", "y"], ["y"], []],
        }
    )
    frame.to_parquet(root / "x.parquet")
    source = open_source(root / "x.parquet")
    assert (source.task, source.classes) == ("multilabel", ("x", "y"))
    assert source.load(2).size == (12, 10)
    assert len(set(source.files)) == 3


def test_several_targets_are_named_with_commas(root: Path) -> None:
    path = _write(root / "x.csv", _rows("image,x,y,z", "1,2.5,u", "2,3,v", "3,1,w"))
    source = open_source(path, target="x, y")
    assert (source.task, source.classes) == ("regression", ("x", "y"))
    assert source.targets.tolist() == [[1, 2.5], [2, 3], [3, 1]]
    with pytest.raises(DataError, match="unknown target column 'yy': did you mean 'y'"):
        open_source(path, target="x,yy")


def test_without_a_label_column_bits_are_taken_and_others_reported(root: Path) -> None:
    source = open_source(_write(root / "x.csv", _rows("image,cat,dog,n", "1,0,3", "0,1,2", "1,1,1")))
    assert (source.task, source.classes) == ("multilabel", ("cat", "dog"))
    assert source.notes[-1] == "Columns not used: n; --target (in Python target) names others to learn."


def test_folder_and_archives_with_a_table_use_it(root: Path) -> None:
    """Names without their folder are looked for in images/ too."""
    (root / "pics").rename(root / "images")
    _write(root / "labels.csv", _rows("image,label", "a", "b", "a").replace("pics/", ""))
    sources = [
        open_source(root),
        open_source(pack(root, root / "x.zip")),
        open_source(pack_tar(root, root / "x.tar")),
    ]
    for source in sources:
        assert source.files == ["images/0.png", "images/1.png", "images/2.png"]
        assert source.read(0) == (root / "images" / "0.png").read_bytes()
        source.close()


def test_metadata_in_split_folders_gives_the_splits(tmp_path: Path) -> None:
    for part in ("train", "test"):
        (tmp_path / part).mkdir()
        for i in range(2):
            random_image(i + 10 * (part == "test")).save(tmp_path / part / f"{i}.png")
        _write(tmp_path / part / "metadata.csv", "file_name,label\n0.png,a\n1.png,b\n")
    source = open_source(tmp_path)
    assert source.files == ["test/0.png", "test/1.png", "train/0.png", "train/1.png"]
    assert source.splits == ["holdout", "holdout", "train", "train"]


def test_class_folders_win_over_a_table_without_labels(make_folder: MakeFolder) -> None:
    root = make_folder({"a": 2, "b": 2})
    _write(root / "metadata.csv", "file_name,caption,score\na/000.png,one,1.5\n")
    assert open_source(root).classes == ("a", "b")
    assert open_source(root, target="score", task="classification").classes == ("1.5",)


def test_missing_file_is_bad_and_all_missing_an_error(root: Path) -> None:
    source = open_source(_write(root / "x.csv", _rows("image,label", "a", "b") + "pics/gone.png,a\n"))
    with pytest.raises(DataError, match=r"pics/gone.png: cannot be read \(No such file"):
        source.load(2)
    with pytest.raises(DataError, match=r"none of 1 file is there, the first is 'nowhere.png'"):
        open_source(_write(root / "y.csv", "image,label\nnowhere.png,a\n"))


def test_path_that_leaves_an_archive_is_not_followed(root: Path) -> None:
    _write(root / "labels.csv", _rows("image,label", "a", "b") + "../../etc/hostname,a\n")
    source = open_source(pack(root, root.parent / "x.zip"))
    with pytest.raises(DataError, match="not in the zip"):
        source.load(2)
    source.close()


def test_file_in_two_rows_is_kept_for_each_label(root: Path) -> None:
    text = _rows("image,label", "a", "b") + "pics/0.png,b\npics/1.png,b\n"
    source = open_source(_write(root / "x.csv", text))
    assert source.files == ["pics/0.png", "pics/1.png", "pics/0.png (2)"]
    assert source.notes == (
        "Columns of x.csv: 'image' names the images; learned: 'label'.",
        "1 file named in several rows with different labels.",
        "1 row left out, as it repeats another.",
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "name,label\nx,a\n",
            r"must have a column that names the image files, .* has the columns 'name', 'label'",
        ),
        ("image,label\n", "must have rows"),
        ("", "must be a readable table"),
        ("image,label,split\npics/0.png,a,maybe\n", "must hold train, val or test, but 'maybe'"),
        ("image,label,is_valid\npics/0.png,a,perhaps\n", "true or false, but 'perhaps'"),
        (
            "image,x,y\npics/0.png,1,2.5\npics/1.png,3,4\n",
            r"name the column to learn with --target \(for example x\)",
        ),
        ('image,label\n"pics/0.png,a\n', "must be a readable table"),
    ],
)
def test_manifest_that_cannot_be_used_says_why(root: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        open_source(_write(root / "x.csv", text))


def test_parquet_that_is_none_is_refused(root: Path) -> None:
    with pytest.raises(DataError, match=r"'x.parquet' is not \("):
        open_source(_write(root / "x.parquet", "text"))


def test_frame_with_absolute_paths_and_an_odd_index_is_read(root: Path) -> None:
    frame = pd.DataFrame(
        {"path": [str(root / "pics" / f"{i}.png") for i in range(4)], "age": [1.5, 2.5, None, 4.0]},
        index=[7, 7, 3, 1],
    )
    source = open_source(frame)
    assert (source.task, source.targets.tolist()) == ("regression", [[1.5], [2.5], [4.0]])
    assert source.load(2).size == (12, 10)


def test_other_labels_are_another_fingerprint_but_the_same_images(root: Path) -> None:
    one = open_source(_write(root / "x.csv", _rows("image,label", "a", "b")))
    two = open_source(_write(root / "x.csv", _rows("image,label", "b", "a")))
    assert fingerprint(one) != fingerprint(two)
    assert one.state() == two.state()


def test_table_of_json_lines_is_read(root: Path) -> None:
    lines = io.StringIO()
    pd.DataFrame({"file_name": ["pics/0.png", "pics/1.png"], "label": ["a", "b"]}).to_json(
        lines, orient="records", lines=True
    )
    assert open_source(_write(root / "x.jsonl", lines.getvalue())).classes == ("a", "b")


def _download(root: Path, table: str = "train.csv") -> Path:
    """A competition's download: a table beside folders of images, and two tables that list no labels."""
    for folder, names in (("train_images", range(6)), ("test_images", range(6, 9))):
        (root / folder).mkdir()
        for i in names:
            random_image(i).save(root / folder / f"{i:03d}.png")
    rows = "".join(f"{i:03d},{'ab'[i % 2]},{i}\n" for i in range(6))
    _write(root / table, "image_id,label,age\n" + rows)
    _write(root / "sample_submission.csv", "image_id,label\n006,a\n")
    _write(root / "test.csv", "image_id\n006\n")
    return root


@pytest.mark.parametrize("packed", [False, True])
def test_table_of_any_name_beside_image_folders_is_read_and_told(tmp_path: Path, packed: bool) -> None:
    (tmp_path / "data").mkdir()
    root = _download(tmp_path / "data")
    source = open_source(pack(root, tmp_path / "x.zip") if packed else root)
    assert source.files == [f"train_images/{i:03d}.png" for i in range(6)]
    assert (source.classes, set(source.splits)) == (("a", "b"), {""})
    assert "Columns of train.csv: 'image_id' names the images; learned: 'label'." in source.notes
    assert "6 files of the table found in train_images/." in source.notes
    assert "Columns not used: age; --target (in Python target) names others to learn." in source.notes
    source.close()


def test_table_itself_finds_images_without_folder_and_extension(tmp_path: Path) -> None:
    root = _download(tmp_path)
    source = open_source(root / "train.csv", target="age", task="regression")
    assert source.read(2) == (root / "train_images" / "002.png").read_bytes()
    assert "6 files of the table found with the extension .png." in source.notes
    by_path = open_source(_write(root / "y.csv", "file,label\ntrain_images/000,a\ntest_images/007,b\n"))
    assert by_path.files == ["train_images/000.png", "test_images/007.png"]


def test_several_tables_of_images_are_named_and_not_guessed(tmp_path: Path) -> None:
    root = _download(tmp_path, "one.csv")
    _write(root / "two.csv", "image_id,label\n000,a\n")
    with pytest.raises(DataError, match="one table must list the images of .*, but one, two could"):
        open_source(root)


def test_tables_of_parts_give_the_split(tmp_path: Path) -> None:
    root = _download(tmp_path)
    _write(root / "val.csv", "image_id,label,age\n006,a,1\n007,b,2\n")
    assert open_source(root).splits == ["train"] * 6 + ["val"] * 2


def test_name_in_two_folders_is_not_guessed(root: Path) -> None:
    for folder in ("one", "two"):
        (root / folder).mkdir()
        random_image(3).save(root / folder / "x.png")
    with pytest.raises(DataError, match=r"it may be 'one/x.png' or 'two/x.png': add the folder"):
        open_source(_write(root / "t.csv", "image,label\nx,a\n"))


def test_image_of_another_folder_is_not_taken_for_one_that_is_gone(root: Path) -> None:
    source = open_source(_write(root / "t.csv", "image,label\npics/0.png,a\ngone/1.png,b\n"))
    with pytest.raises(DataError, match=r"gone/1.png: cannot be read"):
        source.load(1)


@pytest.mark.parametrize("name", ["Image Index", "filepath", "id_code", "img", "unknown"])
def test_columns_that_name_files_are_found(root: Path, name: str) -> None:
    assert open_source(_write(root / "x.csv", _rows(f"{name},breed", "b", "a"))).classes == ("a", "b")


def test_image_column_can_be_named(root: Path) -> None:
    path = _write(root / "x.csv", "image,photograph,label\nfirst,pics/0.png,a\nsecond,pics/1.png,b\n")
    with pytest.raises(
        DataError, match=r"another column with --image-column \(it has 'image', 'photograph', 'label'"
    ):
        open_source(path)
    assert open_source(path, image_column="photograph").files == ["pics/0.png", "pics/1.png"]
    with pytest.raises(DataError, match="unknown image column 'photo': did you mean 'photograph'"):
        open_source(path, image_column="photo")
    with pytest.raises(DataError, match="an image column is one of a table"):
        open_source("digits", image_column="photo")


@pytest.mark.parametrize("mark", [";", "\t", "|"])
def test_separators_are_found(root: Path, mark: str) -> None:
    assert open_source(_write(root / "x.csv", _rows("image,label", "b", "a").replace(",", mark))).classes == (
        "a",
        "b",
    )


def test_text_that_is_not_utf8_is_read_and_told(root: Path) -> None:
    (root / "x.csv").write_bytes(_rows("image,label", "Größe", "b").encode("latin-1"))
    source = open_source(root / "x.csv")
    assert source.classes == ("Größe", "b")
    assert source.notes[0].startswith("x.csv is not UTF-8, and was read as Windows-1252 (Latin-1)")
    (root / "x.csv").write_bytes(_rows("image,label", "Größe", "b").encode("utf-16"))
    assert open_source(root / "x.csv").classes == ("Größe", "b")


def test_table_without_a_header_says_what_to_add(root: Path) -> None:
    with pytest.raises(DataError, match=r"it is a row \(pics/0.png, a\): add a line such as image,label"):
        open_source(_write(root / "x.csv", "pics/0.png,a\npics/1.png,b\n"))


def _parquet(path: Path, start: int, labels: list[int]) -> None:
    """A shard as the library of the Hugging Face hub writes it: the names of the classes are in the schema."""
    import pyarrow.parquet

    names = {"info": {"features": {"label": {"names": ["cat", "dog", "owl"], "_type": "ClassLabel"}}}}
    cells = [{"bytes": encoded(random_image(start + i)), "path": None} for i in range(len(labels))]
    table = pyarrow.table({"image": cells, "label": labels})
    path.parent.mkdir(parents=True, exist_ok=True)
    pyarrow.parquet.write_table(table.replace_schema_metadata({"huggingface": json.dumps(names)}), path)


def test_names_in_the_schema_of_shards_are_kept(tmp_path: Path) -> None:
    _parquet(tmp_path / "set" / "data" / "train-00000-of-00002.parquet", 0, [2, 0, 1])
    _parquet(tmp_path / "set" / "data" / "train-00001-of-00002.parquet", 10, [1, 0])
    assert open_source(tmp_path / "set").classes == ("cat", "dog", "owl")
    assert len(open_source(tmp_path / "set").files) == 5
    _parquet(tmp_path / "set" / "data" / "test-00000-of-00001.parquet", 20, [0, 1])
    source = open_source(tmp_path / "set")
    assert source.splits == ["train"] * 5 + ["holdout"] * 2
    assert open_source(tmp_path / "set" / "data" / "train-00000-of-00002.parquet").classes == (
        "cat",
        "dog",
        "owl",
    )


def test_column_that_names_parts_is_the_split(root: Path) -> None:
    source = open_source(_write(root / "x.csv", _rows("image,label,subset", "a,Training", "b,TEST")))
    assert source.splits == ["train", "holdout"]
    assert "'subset' the parts of the split" in source.notes[0]
    other = open_source(_write(root / "y.csv", _rows("image,label,subset", "a,red", "b,train")))
    assert set(other.splits) == {""}


def test_pipes_and_devices_are_no_images(root: Path) -> None:
    os.mkfifo(root / "pipe.png")
    source = open_source(_write(root / "x.csv", _rows("image,label", "a", "b") + "pipe.png,a\n/dev/zero,b\n"))
    for row in (2, 3):
        with pytest.raises(DataError, match="cannot be read"):
            source.load(row)


def test_table_of_deep_lists_is_refused(root: Path) -> None:
    with pytest.raises(DataError, match="must be a readable table"):
        open_source(_write(root / "x.jsonl", "[" * 100_000 + "\n"))


@pytest.mark.parametrize(
    ("name", "cell"),
    [
        ("\u00e9{}.png", "e\u0301{}.png"),
        ("e\u0301{}.png", "\u00e9{}.png"),
        ("{}1.png", "{}1.0"),
        ("a b{}.png", "a%20b{}.png"),
    ],
)
def test_files_are_found_by_other_spellings_of_their_names(tmp_path: Path, name: str, cell: str) -> None:
    for k in range(1, 4):
        random_image(k).save(tmp_path / name.format(k))
    table = "id,label\n" + "".join(f"{cell.format(k)},{'ab'[k % 2]}\n" for k in range(1, 4))
    source = open_source(_write(tmp_path / "x.csv", table))
    assert list(source.files) == [name.format(k) for k in range(1, 4)]
    assert any("3 files of the table found" in note for note in source.notes)


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("https://x.org/{}.png?token=abc", "are addresses, and nothing is downloaded"),
        ("data:image/png;base64," + "iVBORw0KGgo/" * 400 + "{}", "are the images themselves"),
    ],
)
def test_cells_that_are_addresses_or_images_are_told_in_short(tmp_path: Path, cell: str, said: str) -> None:
    table = "image,label\n" + "".join(f"{cell.format(k)},{'ab'[k % 2]}\n" for k in range(4))
    with pytest.raises(DataError, match=f"must name files, but its cells {said}") as raised:
        open_source(_write(tmp_path / "x.csv", table.replace(",iV", ";iV")))
    assert len(str(raised.value)) < 500
