"""`automl weights`: what a space would load, and how it is fetched."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from automl.cli import main
from automl.training.models.weight_sources import in_folder
from tests.hub import StandIn, asked_instead, weights_of

_TAGS = ("test_resnet.r160_in1k", "test_vit.r160_in1k")
_SPACE = """
families: {resnet: [test_resnet, ghostnet_050], vit: [test_vit], mobilevit: [mobilevit_xxs]}
parameters: {lr: {type: float, low: 1.0e-3, high: 1.0e-2}}
"""


@pytest.fixture
def space(tmp_path: Path) -> str:
    """A space with weights on the hub, of a closed licence, and of none."""
    (tmp_path / "space.yaml").write_text(_SPACE)
    return str(tmp_path / "space.yaml")


def test_list_tells_tag_size_licence_and_place(space: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["weights", "list", "--space", space]) == 0
    text = capsys.readouterr().out
    line = next(line for line in text.splitlines() if line.startswith("test_vit"))
    assert (
        line.split()[1:4] == ["test_vit.r160_in1k", "~1.1M", "apache-2.0"] and "not on this machine" in line
    )
    assert "cvnets-license  left out: licence not allowed" in text
    assert "no weights are published for ghostnet_050" in text
    assert main(["weights", "list", "--space", space, "--weights-licence", "any", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["without"] == ["ghostnet_050"] and all(row["allowed"] for row in told["weights"])


def test_fetch_fills_a_folder_and_goes_on_where_the_hub_had_failed(
    space: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    hub, folder = StandIn(weights_of(_TAGS[0])), str(tmp_path / "weights")
    fetch = ["weights", "fetch", "--space", space, "--to", folder]
    with asked_instead(monkeypatch, hub.address, tmp_path / "cache"):
        assert main(fetch) == 1
        told = capsys.readouterr()
        assert (
            "2 files for the space" in told.out and "mobilevit_xxs.cvnets_in1k (cvnets-license)" in told.out
        )
        assert "2/2 the weights 'test_vit.r160_in1k' must be on the hub" in told.err
        hub.files |= weights_of(_TAGS[1])
        sent = hub.sent
        assert main(fetch) == 0
    hub.close()
    assert hub.sent - sent == len(hub.files[_TAGS[1]])
    assert f"--pretrained {folder}" in capsys.readouterr().out
    assert sorted(in_folder(folder)) == sorted(_TAGS)


def test_fetch_fills_the_cache(
    space: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    hub = StandIn(weights_of(*_TAGS))
    with asked_instead(monkeypatch, hub.address, tmp_path / "cache"):
        assert main(["weights", "fetch", "--space", space]) == 0
        capsys.readouterr()
        assert main(["weights", "list", "--space", space]) == 0
    hub.close()
    assert capsys.readouterr().out.count(" cached") == 2


def test_folder_that_cannot_be_written_is_one_sentence(
    space: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    assert main(["weights", "fetch", "--space", space, "--to", str(tmp_path / "file")]) == 2
    assert "--to must be a folder that can be written" in capsys.readouterr().err


def test_wrong_licence_is_one_sentence(space: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["weights", "list", "--space", space, "--weights-licence", "any,mit"]) == 2
    assert "weights_licence must be 'any' alone" in capsys.readouterr().err
