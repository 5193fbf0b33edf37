"""Kinds of objects in XML as the labels of images."""

from __future__ import annotations

from pathlib import Path

import pytest

from automl.data.sources import open_source
from automl.errors import DataError
from tests.data.conftest import images_at, pack


def _voc(name: str, *kinds: str) -> str:
    objects = "".join(
        f"<object><name>{kind}</name><part><name>head</name></part><bndbox><xmin>1</xmin></bndbox></object>"
        for kind in kinds
    )
    return f"<annotation><folder>x</folder><filename>{name}</filename>{objects}</annotation>"


def _cvat(*images: str) -> str:
    return f"<?xml version='1.0' encoding='utf-8'?><annotations><version>1.1</version>{''.join(images)}</annotations>"


def _written(root: Path, texts: dict[str, str]) -> Path:
    for name, text in texts.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def test_pascal_voc_is_read_with_the_split_of_its_lists(tmp_path: Path) -> None:
    names = [f"{k:06d}" for k in range(10)]
    root = images_at(tmp_path / "VOC2007", [f"JPEGImages/{name}.jpg" for name in names])
    kind = ["cat", "dog"]
    texts = {
        f"Annotations/{name}.xml": _voc(f"{name}.jpg", kind[k % 2], kind[k % 2])
        for k, name in enumerate(names)
    }
    for part, rows in (
        ("train", range(4)),
        ("val", range(4, 7)),
        ("trainval", range(7)),
        ("test", range(7, 10)),
    ):
        texts[f"ImageSets/Main/{part}.txt"] = "".join(f"{names[k]}\n" for k in rows)
        for word in range(20):  # lists of each class
            texts[f"ImageSets/Main/k{word}_{part}.txt"] = "".join(f"{names[k]} -1\n" for k in rows)
    _written(root, texts)
    for data in (root, pack(root, tmp_path / "voc.zip")):
        source = open_source(data)
        assert (source.task, source.classes) == ("classification", ("cat", "dog"))
        assert source.targets.tolist() == [0, 1] * 5
        assert source.splits == ["train"] * 4 + ["val"] * 3 + ["holdout"] * 3
        told = (
            "XML such as Annotations/000000.xml says which objects are in images: their kinds are the labels"
        )
        assert any(told in note for note in source.notes)


def test_xml_beside_images_of_the_same_names_in_each_part_is_read(tmp_path: Path) -> None:
    """Roboflow's export."""
    names = [f"{part}/{k}" for part in ("train", "valid") for k in range(3)]
    root = images_at(tmp_path, [f"{name}.jpg" for name in names])
    kinds = [["cat"], ["dog"], ["cat", "dog"], ["dog"], ["cat"], []]
    _written(
        root,
        {f"{name}.xml": _voc(f"{name[-1]}.jpg", *found) for name, found in zip(names, kinds, strict=True)},
    )
    source = open_source(root)
    assert (source.task, source.classes) == ("multilabel", ("cat", "dog"))
    assert source.targets.tolist() == [[1, 0], [0, 1], [1, 1], [0, 1], [1, 0], [0, 0]]
    assert source.splits == ["train"] * 3 + ["val"] * 3


@pytest.mark.parametrize("file", ["annotations.xml", "out/annotations.xml"])
def test_cvat_is_read_with_labels_of_images_before_those_of_objects(tmp_path: Path, file: str) -> None:
    root = images_at(tmp_path, [f"images/{k}.png" for k in range(3)])
    text = _cvat(
        '<image id="0" name="0.png"><tag label="cat"/><box label="ear" xtl="1"/></image>',
        '<image id="1" name="images/1.png"><polygon label="dog" points="1,1">'
        '<attribute name="a">b</attribute></polygon></image>',
        '<image id="2" name="2.png"></image>',
    )
    source = open_source(_written(root, {file: text}))
    assert (source.task, source.classes, source.targets.tolist()) == (
        "classification",
        ("cat", "dog"),
        [0, 1],
    )


def test_class_folders_tables_and_names_of_files_come_before_xml(tmp_path: Path) -> None:
    """The Oxford pets have breeds in names, and cat or dog in XML."""
    names = [f"{breed}_{k}" for breed in ("Sphynx", "pug") for k in range(3)]
    pets = images_at(tmp_path / "pets", [f"images/{name}.jpg" for name in names])
    _written(pets, {f"annotations/xmls/{name}.xml": _voc(f"{name}.jpg", "cat") for name in names})
    assert open_source(pets).classes == ("Sphynx", "pug")
    folders = images_at(tmp_path / "folders", ["a/1.png", "b/2.png"])
    _written(folders, {"a/1.xml": _voc("1.png", "x"), "b/2.xml": _voc("2.png", "y")})
    assert open_source(folders).classes == ("a", "b")
    table = images_at(tmp_path / "table", ["1.png", "2.png"])
    _written(
        table,
        {
            "1.xml": _voc("1.png", "x"),
            "2.xml": _voc("2.png", "y"),
            "t.csv": "image,label\n1.png,p\n2.png,q\n",
        },
    )
    assert open_source(table).classes == ("p", "q")


_BOMB = '<!DOCTYPE a [<!ENTITY b "c"><!ENTITY d "&b;&b;">]>'


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<annotation>",
        "no xml",
        "<html><image name='1.png'/></html>",
        _BOMB + _voc("1.png", "cat"),
        "<a>" * 5000,
    ]
    + [_voc("9.png", "cat"), "\0", _cvat("<image/>")],
)
def test_xml_that_says_nothing_of_the_images_is_ignored(tmp_path: Path, text: str) -> None:
    root = images_at(tmp_path, ["1.png", "2.png"])
    with pytest.raises(DataError, match="lie in no class folder"):
        open_source(_written(root, {"other.xml": text}))


@pytest.mark.parametrize(
    ("declared", "encoding", "kinds"),
    [
        ("gb2312", "gb18030", ("猫", "狗")),
        ("GBK", "gbk", ("猫", "狗")),
        ("Big5", "big5", ("貓", "狗")),
        ("Shift_JIS", "cp932", ("猫", "犬")),
        ("EUC-JP", "euc_jp", ("猫", "犬")),
        ("euc-kr", "cp949", ("고양이", "개")),
        ("gb2312", "utf-8", ("cat", "dog")),
        ("ANSI", "utf-8", ("猫", "狗")),
        ("unicode", "utf-8", ("cat", "dog")),
        ("windows-1251", "cp1251", ("кот", "пёс")),
    ],
)
def test_xml_is_read_in_the_encoding_that_it_declares(
    tmp_path: Path, declared: str, encoding: str, kinds: tuple[str, str]
) -> None:
    root = images_at(tmp_path, [f"{k}.png" for k in range(4)])
    for k in range(4):
        text = f'<?xml version="1.0" encoding="{declared}"?>{_voc(f"{k}.png", kinds[k % 2])}'
        (root / f"{k}.xml").write_bytes(text.encode(encoding))
    source = open_source(root)
    assert [source.classes[k] for k in source.targets.tolist()] == [*kinds, *kinds]
    assert not any("cannot be read" in note for note in source.notes)


@pytest.mark.parametrize("declared", ["ANSI", "gb2312", "rot13", "utf-8", "x" * 50])
def test_xml_that_cannot_be_read_is_told(tmp_path: Path, declared: str) -> None:
    root = images_at(tmp_path, [f"{k}.png" for k in range(5)])
    _written(root, {f"{k}.xml": _voc(f"{k}.png", "ab"[k % 2]) for k in range(4)})
    head = f"<?xml version='1.0' encoding='{declared}'?>".encode()
    (root / "4.xml").write_bytes(head + _voc("4.png", "\xff").encode("latin-1"))
    source = open_source(root)
    assert len(source.files) == 4
    assert any("1 XML file cannot be read, such as 4.xml" in note for note in source.notes)
