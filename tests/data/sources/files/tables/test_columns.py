"""What the columns of a table are taken for."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from automl.data.sources import open_source
from automl.errors import DataError
from tests.data.conftest import random_image
from tests.data.sources.files.test_manifest import _write, root

__all__ = ["root"]  # a fixture


def _notes(path: Path, text: str) -> str:
    return " ".join(open_source(_write(path, text)).notes)


def test_columns_that_are_not_learned_are_told(root: Path) -> None:
    text = "Unnamed: 0,image,label,is_valid\n0,pics/0.png,a,0\n1,pics/1.png,b,1\n"
    notes = _notes(root / "x.csv", text)
    assert "'is_valid' the validation rows" in notes
    assert "Taken for numbers of the rows, and not used: 'Unnamed: 0'." in notes
    both = "image,label,split,is_valid\npics/0.png,a,train,0\npics/1.png,b,test,1\n"
    assert "'split' the parts of the split, 'is_valid' is not used beside it" in _notes(root / "y.csv", both)
    patients = "image,label,patient_id\npics/0.png,a,7\npics/1.png,b,8\npics/2.png,b,7\n"
    told = _notes(root / "z.csv", patients)
    assert "--group-column patient_id (in Python group_column) keeps them in one part" in told


def test_row_without_a_part_is_told(root: Path) -> None:
    text = "image,label,split\npics/0.png,a,train\npics/1.png,b,\npics/2.png,b,test\n"
    assert "1 row without a part in 'split' used for training." in _notes(root / "x.csv", text)


def test_column_of_groups_can_be_named(root: Path) -> None:
    text = "image,grade,patient\npics/0.png,a,p7\npics/1.png,b,p8\npics/2.png,b,\n"
    path = _write(root / "x.csv", text)
    for data in (path, root, pd.read_csv(path).assign(image=lambda frame: str(root) + "/" + frame["image"])):
        source = open_source(data, group_column="patient")
        assert (source.groups, source.classes) == (["p7", "p8", ""], ("a", "b"))
        assert any("'patient' the groups" in note for note in source.notes)
    with pytest.raises(DataError, match="unknown group column 'patients': did you mean 'patient'"):
        open_source(path, group_column="patients")
    with pytest.raises(DataError, match="a group column is one of a table .* but 'patient' was given"):
        open_source("digits", group_column="patient")


def test_columns_of_one_name_are_refused(root: Path) -> None:
    frame = pd.DataFrame([[str(root / "pics/0.png"), "a", "b"]], columns=["image", "label", "label"])
    with pytest.raises(DataError, match="must have different names, but 'the DataFrame' has 'label' twice"):
        open_source(frame)
    with pytest.raises(DataError, match="has 'label' twice"):
        open_source(_write(root / "x.csv", "image,label,label \npics/0.png,a,b\n"))


@pytest.mark.parametrize("cells", [[random_image(i) for i in range(2)], [[1, 2], [3, 4]]])
def test_images_themselves_in_a_frame_are_refused(cells: list[object]) -> None:
    with pytest.raises(DataError, match="must hold paths or the bytes of images, not"):
        open_source(pd.DataFrame({"image": cells, "label": ["a", "b"]}))
