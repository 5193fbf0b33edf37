"""YAML of unknown origin."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import pytest

from automl.documents.yaml_file import read_yaml


def _read(folder: Path, text: str, *, unique_keys: bool = False) -> Any:
    (folder / "a.yaml").write_bytes(text.encode())
    return read_yaml(folder / "a.yaml", unique_keys=unique_keys)


def _bomb(levels: int, *, mapping: bool) -> str:
    lines = ["x0: &x0 {a: 1}" if mapping else "x0: &x0 [a]"]
    for k in range(1, levels + 1):
        inner = ", ".join([f"*x{k - 1}"] * 10)
        lines.append(f"x{k}: &x{k} {{<<: [{inner}], b{k}: 1}}" if mapping else f"x{k}: &x{k} [{inner}]")
    return "\n".join(lines)


def test_yaml_is_read(tmp_path: Path) -> None:
    found = _read(tmp_path, "a: &a {b: 1, c: [1.5, yes]}\nd: {<<: *a, b: 2}\ne: 2024-01-02\n")
    assert found["d"] == {"b": 2, "c": [1.5, True]}
    assert found["e"] == datetime.date(2024, 1, 2)
    assert _read(tmp_path, "") is None
    assert len(_read(tmp_path, _bomb(2, mapping=False))["x2"]) == 10


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (_bomb(9, mapping=False), r"line \d+: stands for more than 100,000 values"),
        (_bomb(9, mapping=True), r"line \d+: stands for more than 100,000 values"),
        ("a: &x [*x]", "line 1: an alias stands for what it is in"),
        ("a: &x {<<: *x}", "an alias stands for what it is in"),
        ("[" * 5000 + "]" * 5000, "nested too deeply"),
        ("{a: " * 40 + "1" + "}" * 40, "nested too deeply"),
        ("a: " + "9" * 5000, "line 1: a number of 5,000 digits"),
        ("a: 2024-99-99", "month must be in 1..12"),
        ("a: !!int x", "invalid literal"),
        ("a: !!bool x", "does not fit its tag"),
        ("a: !!python/object/apply:os.getcwd []", "line 1: could not determine a constructor"),
        ("a\0", "special characters are not allowed"),
        ("a: [", "line 1"),
        ("[1]: 2\n{a: 1}: 3", "line 1: found unhashable key|unhashable"),
    ],
)
def test_yaml_that_is_deep_long_or_broken_is_a_value_error(tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        _read(tmp_path, text)


def test_chain_of_aliases_is_too_deep_though_each_is_shallow(tmp_path: Path) -> None:
    lines = ["x0: &x0 [a]", *(f"x{k}: &x{k} [*x{k - 1}]" for k in range(1, 60))]
    with pytest.raises(ValueError, match="nested too deeply"):
        _read(tmp_path, "\n".join(lines))


def test_repeated_key_is_refused_where_it_is_asked_for(tmp_path: Path) -> None:
    assert _read(tmp_path, "a: 1\na: 2") == {"a": 2}
    with pytest.raises(ValueError, match="line 2: 'a' is given twice"):
        _read(tmp_path, "a: 1\na: 2", unique_keys=True)


def test_file_of_many_megabytes_is_not_parsed(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="too large: 1.0 MB, at most 262.1 kB"):
        _read(tmp_path, "a" * 10**6)
