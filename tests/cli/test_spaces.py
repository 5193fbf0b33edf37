"""`automl spaces`: what may be searched, and which weights there are."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from automl.cli import main


def test_space_is_printed_with_its_families_sizes_and_weights(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["spaces", "mobile"]) == 0
    text = capsys.readouterr().out
    assert "24 architectures in 13 families; weights are published for 23 and cached for 0 of them" in text
    (line,) = [line for line in text.splitlines() if line.startswith("ghostnet ")]
    assert line.split()[1:4] == ["2", "of", "3"]
    assert "freeze" in text and "pretrained is True" in text


def test_cached_weights_are_marked(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    repository = tmp_path / "models--timm--test_vit.r160_in1k"
    for folder in ("refs", "snapshots/abc"):
        (repository / folder).mkdir(parents=True)
    (repository / "refs" / "main").write_text("abc")
    (repository / "snapshots" / "abc" / "model.safetensors").write_bytes(b"")
    assert main(["spaces", "smoke"]) == 0
    text = capsys.readouterr().out
    assert "test_vit*, test_vit2" in text and "* weights are cached" in text
    assert main(["spaces", "smoke", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["weights"]["cached"] == ["test_vit"]
