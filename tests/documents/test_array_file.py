"""Arrays of damaged files: ValueError, and nothing else."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from automl.documents.array_file import read_array, read_arrays


def _npy(values: np.ndarray) -> bytes:
    made = io.BytesIO()
    np.save(made, values)
    return made.getvalue()


def _with_header(text: str) -> bytes:
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode() + b"\0" * 64


_OBJECTS = np.array([{}], dtype=object)
_DAMAGED = {
    "empty": b"",
    "text": b"hello",
    "bracket": _with_header("{'descr': '<i8', 'fortran_order': False, 'shape': (3,\n"),
    "type": _with_header("{'descr': 'xx', 'fortran_order': False, 'shape': (3,)}\n"),
    "huge": _with_header("{'descr': '<i8', 'fortran_order': False, 'shape': (99999999999999,)}\n"),
    "negative": _with_header("{'descr': '<i8', 'fortran_order': False, 'shape': (-3,)}\n"),
    "objects": _npy(_OBJECTS),
    "cut": _npy(np.arange(9))[:-8],
}


@pytest.mark.parametrize("damage", _DAMAGED)
@pytest.mark.parametrize("mapped", [False, True])
def test_damaged_array_is_a_value_error(damage: str, mapped: bool, tmp_path: Path) -> None:
    (tmp_path / "a.npy").write_bytes(_DAMAGED[damage])
    with pytest.raises(ValueError, match="."):
        read_array(tmp_path / "a.npy", mapped=mapped)


@pytest.mark.parametrize("damage", _DAMAGED)
def test_damaged_member_is_a_value_error(damage: str, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("rows.npy", _npy(np.arange(3)))
        archive.writestr("values.npy", _DAMAGED[damage])
    assert read_arrays(tmp_path / "a.npz", ("rows",))["rows"].tolist() == [0, 1, 2]
    with pytest.raises(ValueError, match="."):
        read_arrays(tmp_path / "a.npz", ("rows", "values"))


def test_zip_without_the_member_and_in_the_place_of_an_array_are_value_errors(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", rows=np.arange(3))
    with pytest.raises(ValueError, match="values"):
        read_arrays(tmp_path / "a.npz", ("values",))
    with pytest.raises(ValueError, match="no array"):
        read_array(tmp_path / "a.npz")
    with pytest.raises(FileNotFoundError):
        read_array(tmp_path / "b.npy")


def test_arrays_are_read_and_mapped(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.arange(6).reshape(2, 3))
    assert read_array(tmp_path / "a.npy").tolist() == [[0, 1, 2], [3, 4, 5]]
    assert isinstance(read_array(tmp_path / "a.npy", mapped=True), np.memmap)
