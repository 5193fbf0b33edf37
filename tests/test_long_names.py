"""Names that no system takes are refused in one short sentence, in Python as on the command line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import automl
from automl.errors import AutomlError
from automl.machine import path_problem

_LONG, _ZERO = "x" * 5000, "a\0b"
_QUICK: dict[str, Any] = {"n_trials": 1, "progress": False, "engine": "local"}
_CALLS: dict[str, Callable[[str], object]] = {
    "data": lambda name: automl.fit(name, **_QUICK),
    "directory": lambda name: automl.fit("digits", directory=name, **_QUICK),
    "space": lambda name: automl.fit("digits", space=name, **_QUICK),
    "pretrained": lambda name: automl.fit("digits", pretrained=name, **_QUICK),
    "warm_start": lambda name: automl.fit("digits", warm_start=name, **_QUICK),
    "storage": lambda name: automl.fit("digits", storage=f"sqlite:///{name}", **_QUICK),
    "search space": automl.SearchSpace.load,
    "inspect": automl.inspect,
    "model": automl.load,
    "study": automl.resume,
    "folder of studies": lambda name: automl.resume("a", directory=name),
}


@pytest.mark.parametrize("name", [_LONG, _ZERO, "y" * 300])
@pytest.mark.parametrize("what", _CALLS)
def test_name_that_no_system_takes_is_refused(
    what: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(AutomlError) as found:
        _CALLS[what](name)
    assert len(str(found.value)) < 1000
    assert not any(tmp_path.rglob("*.db"))


def test_data_in_a_study_file_may_be_such_a_name(tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text(f"data: {_LONG}\nn_trials: 1\n")
    with pytest.raises(AutomlError, match="must be shorter"):
        automl.fit(tmp_path / "study.yaml", progress=False)


@pytest.mark.parametrize("path", ["", ".", "/", "a/b.png", f"{'a' * 255}/b", "/".join(["a" * 200] * 20)])
def test_usual_paths_have_no_problem(path: str) -> None:
    assert path_problem(path) == path_problem(Path(path)) == ""
