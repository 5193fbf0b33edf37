"""Names of classes in a file beside a list of images."""

from __future__ import annotations

from pathlib import Path

import pytest

from automl.data.sources import open_source
from tests.data.conftest import images_at


def _root(root: Path, numbers: str, **files: str) -> Path:
    images_at(root, [f"{k}.png" for k in range(len(numbers))])
    (root / "train.txt").write_text("".join(f"{k}.png {number}\n" for k, number in enumerate(numbers)))
    for name, text in files.items():
        (root / f"{name}.txt").write_text(text)
    return root


@pytest.mark.parametrize(
    ("numbers", "name", "text", "classes"),
    [
        ("0110", "classes", "cat\ndog\n", ("cat", "dog")),
        ("1221", "labels", "cat\ndog\n", ("cat", "dog")),
        ("0220", "names", "cat\ndog\ngolden retriever\n", ("cat", "golden retriever")),
        ("1331", "classes", "1 cat\n2 dog\n3 emu\n", ("cat", "emu")),
        ("0110", "classes", "cat 1\ndog 0\n", ("cat", "dog")),
        ("0110", "classes", "kind 1\nkind 2\n", ("kind 1", "kind 2")),
        ("0110", "synsets", "cat\ndog\n", ("cat", "dog")),
    ],
)
@pytest.mark.parametrize("alone", [False, True])
def test_numbers_of_classes_are_named_and_told(
    tmp_path: Path, numbers: str, name: str, text: str, classes: tuple[str, str], alone: bool
) -> None:
    root = _root(tmp_path, numbers, **{name: text})
    source = open_source(root / "train.txt" if alone else root)
    assert source.classes == classes
    assert any(
        f"The classes of train.txt are named by {name}.txt ({min(numbers)} is '" in n for n in source.notes
    )


@pytest.mark.parametrize(
    ("numbers", "text"),
    [
        ("0220", "cat\ndog\n"),  # too few
        ("1221", "cat\ndog\nemu\n"),  # the first line may be 0 or 1
        ("0110", "cat\ncat\n"),
        ("0110", ""),
        ("0110", "cat" + "," * 10**6 + "\ndog\n"),
    ],
)
def test_numbers_stay_where_names_do_not_fit(tmp_path: Path, numbers: str, text: str) -> None:
    assert open_source(_root(tmp_path, numbers, classes=text)).classes == tuple(sorted(set(numbers)))


def test_lists_of_parts_count_names_alike(tmp_path: Path) -> None:
    root = _root(tmp_path, "123123", classes="cat\ndog\nemu\n")
    images_at(root, ["val/a.png", "val/b.png"])
    (root / "val.txt").write_text("val/a.png 2\nval/b.png 3\n")
    source = open_source(root)
    found = dict(zip(source.files, source.targets.tolist(), strict=True))
    assert source.classes == ("cat", "dog", "emu")
    assert [found[name] for name in ("1.png", "2.png", "val/a.png", "val/b.png")] == [1, 2, 1, 2]
