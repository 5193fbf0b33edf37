"""Which weights a study takes: by their licences, and from a hub that may be slow, break off, hang, or be absent."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import save_file

from automl.config import StudyConfig
from automl.errors import ConfigError
from automl.pipeline.plan.constants import DOWNLOAD_SHARE
from automl.pipeline.weights.find import FoundWeights, find_weights
from automl.records import Silent
from automl.spaces import SearchSpace, capabilities
from automl.torch_setup import import_timm
from tests.hub import Manner, StandIn, asked_instead, weights_of

_TAGS = ("test_resnet.r160_in1k", "test_vit.r160_in1k")
_SLACK = 1.5  # seconds: this machine may be busy


class Notes(Silent):
    """Keeps what a person reads."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def note(self, text: str) -> None:
        """Kept."""
        self.said.append(text)


def look(remaining: float | None = 60.0, **options: Any) -> tuple[FoundWeights, list[str]]:
    """What is found for the preset `smoke`, and the notes."""
    notes = Notes()
    config = StudyConfig(data="digits", space="smoke", **options)
    found = find_weights(config, SearchSpace.load("smoke"), remaining=remaining, observer=notes)
    return found, notes.said


def cached(root: Path, name: str) -> None:
    """Put weights of a network into the hub's cache."""
    repository = root / f"models--timm--{name}"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("abc")
    (repository / "snapshots" / "abc").mkdir(parents=True)
    values = import_timm().create_model(name).state_dict()
    save_file(values, repository / "snapshots" / "abc" / "model.safetensors")


def licensed(folder: Path, model: str, licence: str) -> None:
    """Put weights with a stated licence into a folder."""
    (folder / model).mkdir(parents=True)
    save_file(import_timm().create_model(model).state_dict(), folder / model / "model.safetensors")
    said = {"architecture": model, "pretrained_cfg": {"license": licence}}
    (folder / model / "config.json").write_text(json.dumps(said))


def test_cached_weights_without_an_allowed_licence_are_left_out_with_one_note(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    for name in _TAGS:
        cached(tmp_path, name)
    found, said = look()
    assert list(found.weights) == ["test_resnet", "test_vit"] and not said
    found, said = look(weights_licence="mit")
    assert not found.weights
    assert found.refused == {"test_resnet": "apache-2.0", "test_vit": "apache-2.0"}
    assert said == [
        "Weights left out for their licence: test_resnet, test_vit (apache-2.0). "
        "--weights-licence mit,apache-2.0 would allow them."
    ]
    with pytest.raises(
        ConfigError, match="but those of test_resnet, test_vit have apache-2.0; allow them with"
    ):
        look(weights_licence="mit", pretrained="always")


def test_licence_in_the_users_folder_counts_and_a_file_without_one_is_theirs(tmp_path: Path) -> None:
    licensed(tmp_path, "test_resnet", "cc-by-nc-4.0")
    save_file(import_timm().create_model("test_vit").state_dict(), tmp_path / "test_vit.safetensors")
    found, said = look(pretrained=tmp_path)
    assert list(found.weights) == ["test_vit"] and found.refused == {"test_resnet": "cc-by-nc-4.0"}
    assert len(said) == 1 and "test_resnet (cc-by-nc-4.0)" in said[0]
    found, said = look(pretrained=tmp_path, weights_licence="permissive,cc-by-nc-4.0")
    assert list(found.weights) == ["test_resnet", "test_vit"] and not said


def test_file_belongs_to_the_model_with_its_tag_and_to_no_other(tmp_path: Path) -> None:
    models = ["resnet18", "resnet18.tv_in1k", "resnet34.a2_in1k"]
    space = SearchSpace.from_dict(
        {
            "families": {"resnet": models},
            "parameters": {"lr": {"type": "float", "low": 1e-3, "high": 1e-2}},
        }
    )
    config = StudyConfig(data="digits", pretrained=tmp_path)
    (tmp_path / "resnet34.safetensors").write_bytes(b"")
    for name, expected in (("resnet18.tv_in1k", "resnet18.tv_in1k"), ("resnet18", "resnet18")):
        file = tmp_path / f"{name}.safetensors"
        file.write_bytes(b"")
        found = find_weights(config, space, remaining=60.0, observer=Silent())
        assert list(found.weights) == [expected, "resnet34.a2_in1k"]
        file.unlink()


def test_of_several_files_for_one_model_the_allowed_and_usual_one_is_used_and_the_others_are_told(
    tmp_path: Path,
) -> None:
    for tag in ("tv_in1k", "a2_in1k", "a1_in1k"):
        (tmp_path / f"resnet50.{tag}.safetensors").write_bytes(b"")
    space = {
        "families": {"resnet": ["resnet50", "resnet50.tv_in1k"]},
        "parameters": {"lr": {"type": "float", "low": 1e-3, "high": 1e-2}},
    }
    observer = Notes()
    for licences, expected in (("any", "resnet50.a1_in1k"), ("bsd-3-clause", "")):
        observer.said.clear()
        config = StudyConfig(data="digits", pretrained=tmp_path, weights_licence=licences)
        found = find_weights(config, SearchSpace.from_dict(space), remaining=60.0, observer=observer)
        assert found.weights["resnet50.tv_in1k"].model == "resnet50.tv_in1k"
        assert (found.weights["resnet50"].model if expected else "") == expected
        assert (
            "Weights left out: those of resnet50.a2_in1k, as the search space has resnet50 once"
            in observer.said[0]
        )


def test_weights_from_the_hub_are_told_with_their_size_and_their_share_of_the_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = StandIn(weights_of(*_TAGS))
    with asked_instead(monkeypatch, hub.address, tmp_path):
        found, said = look(remaining=600.0)
    hub.close()
    assert list(found.weights) == ["test_resnet", "test_vit"] and found.hub == "was asked"
    assert found.missing == ["test_efficientnet", "test_vit2"]
    assert len(said) == 1
    assert said[0].startswith("Downloaded 2 files with weights (") and "% of the time left" in said[0]


def test_networks_that_the_portfolio_names_are_fetched_first_then_the_smallest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = StandIn(weights_of(*_TAGS))
    space = SearchSpace.load("smoke")  # its portfolio names the largest but one
    params = {model: capabilities(model).params for ms in space.families.values() for model in ms}
    smallest = [model for model in sorted(params, key=lambda one: params[one]) if model != "test_resnet"]
    assert params["test_resnet"] > params[smallest[0]]
    with asked_instead(monkeypatch, hub.address, tmp_path):
        look(remaining=600.0)
    hub.close()
    asked = dict.fromkeys(path.split("/timm/")[1].split(".")[0] for path in hub.asked if "/timm/" in path)
    assert list(asked) == ["test_resnet", *smallest]


@pytest.mark.parametrize("manner", ["slow", "breaks", "hangs", "absent"])
def test_hub_that_does_not_deliver_costs_a_twentieth_of_the_time(
    manner: Manner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    remaining = 60.0
    hub = None if manner == "absent" else StandIn(weights_of(*_TAGS), manner)
    with asked_instead(monkeypatch, hub.address if hub else "http://127.0.0.1:9", tmp_path):
        begun = time.monotonic()
        found, said = look(remaining)
        took = time.monotonic() - begun
    if hub:
        hub.close()
    assert not found.weights and found.wanted
    assert took <= DOWNLOAD_SHARE * remaining + _SLACK
    assert DOWNLOAD_SHARE <= 0.05
    assert found.hub == ("was asked" if hub else "cannot be reached")
    assert len(said) == (1 if hub else 0)


def test_weights_on_the_hub_without_an_allowed_licence_are_named_and_not_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = StandIn(weights_of(*_TAGS))
    with asked_instead(monkeypatch, hub.address, tmp_path):
        found, said = look(weights_licence="mit")
    hub.close()
    assert not found.weights and not hub.asked and list(found.refused.values()) == 4 * ["apache-2.0"]
    assert len(said) == 1 and said[0].startswith("Weights left out for their licence: test_resnet, ")


def test_short_study_asks_no_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub = StandIn(weights_of(*_TAGS))
    with asked_instead(monkeypatch, hub.address, tmp_path):
        found, _ = look(remaining=30.0)
    hub.close()
    assert not found.weights and not hub.asked
