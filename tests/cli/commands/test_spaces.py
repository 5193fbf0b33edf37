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
    assert "test_vit.r160_in1k*, test_vit2.r160_in1k" in text and "* weights are cached" in text
    assert main(["spaces", "smoke", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["weights"]["cached"] == ["test_vit"]
    assert main(["spaces", "cpu"]) == 0
    assert "resnet10t.c3_in1k, resnet14t.c3_in1k, resnet18.a1_in1k" in capsys.readouterr().out


def test_file_is_printed_with_its_beliefs_and_constraints(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(
        "include: smoke\nfamilies: {vit: {weight: 3}}\n"
        "parameters: {mixup: null, label_smoothing: {prior: 0.1}, batch_size: {weights: [1, 4]}}\n"
        "constraints: [batch_size == 32 or augment < 0.5]\n",
        encoding="utf-8",
    )
    assert main(["spaces", str(path)]) == 0
    text = capsys.readouterr().out
    for shown in (
        "vit (weight 3)",
        "0 to 0.2, around 0.1",
        "32 (weight 1), 64 (weight 4)",
        "  batch_size == 32 or augment < 0.5",
    ):
        assert shown in text
    assert "of the configurations" in text and "mixup" not in text
    assert main(["spaces", str(path), "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["space"]["constraints"] == ["batch_size == 32 or augment < 0.5"]
    assert 0.6 < record["share_allowed"] < 0.9
