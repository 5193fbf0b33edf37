"""Weights that are fetched ahead: into the cache or a folder, in several attempts, and checked."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from automl.errors import ModelError
from automl.training.models.pretrained_weights import verify
from automl.training.models.weight_sources import in_caches, in_folder
from automl.training.published.fetch import fetch_into_cache, fetch_into_folder
from automl.training.published.offers import Offer, offers
from tests.hub import StandIn, asked_instead, weights_of

_TAG = "test_resnet.r160_in1k"


def offer() -> Offer:
    """The weights of test_resnet, as they are now on this machine or not."""
    (found,) = offers(["test_resnet"], "permissive")
    return found


def test_offers_tell_licence_size_and_place_of_each_network_with_weights(tmp_path: Path) -> None:
    found = {one.model: one for one in offers(["resnet18", "mobilevit_xxs", "ghostnet_050"], "permissive")}
    assert list(found) == ["resnet18", "mobilevit_xxs"]  # ghostnet_050 has none
    whole, barred = found.values()
    assert (whole.weights, whole.licence, whole.allowed) == ("resnet18.a1_in1k", "apache-2.0", True)
    assert whole.cached is None and 40e6 < whole.size < 50e6
    assert (barred.licence, barred.allowed) == ("cvnets-license", False)
    assert offers(["mobilevit_xxs"], "cvnets-license")[0].allowed
    (tagged,) = offers(["resnet18.tv_in1k"], "permissive")
    assert (tagged.weights, tagged.licence) == ("resnet18.tv_in1k", "bsd-3-clause")


def test_weights_in_the_cache_are_found_by_studies_and_not_asked_for_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = StandIn(weights_of(_TAG))
    with asked_instead(monkeypatch, hub.address, tmp_path):
        file = fetch_into_cache(offer())
        count = len(hub.asked)
        assert file.read_bytes() == hub.files[_TAG]
        assert (
            offer().cached
            == file
            == fetch_into_cache(offer())
            == in_caches(["test_resnet"])["test_resnet"].file
        )
    hub.close()
    assert len(hub.asked) == count


def test_folder_holds_what_pretrained_needs_on_a_machine_without_a_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = StandIn(weights_of(_TAG, "test_vit.r160_in1k"))
    with asked_instead(monkeypatch, hub.address, tmp_path / "cache"):
        for each in offers(["test_resnet", "test_vit"], "permissive"):
            fetch_into_folder(each, tmp_path / "weights")
    hub.close()
    found = in_folder(tmp_path / "weights")
    assert list(found) == [_TAG, "test_vit.r160_in1k"]
    weights = found[_TAG]
    assert weights.about() == {
        "weights": _TAG,
        "licence": "apache-2.0",
        "source": "folder",
        "origin": f"https://huggingface.co/timm/{_TAG}",
    }
    assert weights.mean == (0.5, 0.5, 0.5)
    verify(weights, {"num_classes": 2, "in_chans": 3})
    said = json.loads((tmp_path / "weights" / _TAG / "config.json").read_text())
    assert said["architecture"] == "test_resnet" and said["pretrained_cfg"]["tag"] == "r160_in1k"


def test_second_attempt_goes_on_where_the_first_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = StandIn(weights_of(_TAG))
    part = tmp_path / _TAG / "model.safetensors.part"
    part.parent.mkdir()
    part.write_bytes(hub.files[_TAG][:1_500_000])
    with asked_instead(monkeypatch, hub.address, tmp_path / "cache"):
        file = fetch_into_folder(offer(), tmp_path)
    hub.close()
    assert file.read_bytes() == hub.files[_TAG] and not part.exists()
    assert hub.sent == len(hub.files[_TAG]) - 1_500_000


def test_cached_weights_are_copied_without_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub = StandIn(weights_of(_TAG))
    with asked_instead(monkeypatch, hub.address, tmp_path / "cache"):
        fetch_into_cache(offer())
        hub.close()
        file = fetch_into_folder(offer(), tmp_path / "weights")
    assert file.read_bytes() == hub.files[_TAG]


def test_file_with_another_checksum_is_deleted_and_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = StandIn(weights_of(_TAG))
    part = tmp_path / _TAG / "model.safetensors.part"
    part.parent.mkdir()
    part.write_bytes(b"x" * 1_500_000)
    with (
        asked_instead(monkeypatch, hub.address, tmp_path / "cache"),
        pytest.raises(ModelError, match=f"{_TAG}' has another checksum .* and was deleted; fetch it again"),
    ):
        fetch_into_folder(offer(), tmp_path)
    hub.close()
    assert not part.exists()


def test_damaged_file_in_the_cache_is_refused(tmp_path: Path) -> None:
    damaged = tmp_path / "model.safetensors"
    damaged.write_bytes(b"x" * 100)
    with pytest.raises(ModelError, match="cannot be read"):
        fetch_into_folder(replace(offer(), cached=damaged), tmp_path / "weights")
    assert damaged.exists()


def test_hub_that_cannot_be_reached_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for fetch in (fetch_into_cache, lambda one: fetch_into_folder(one, tmp_path / "weights")):
        with (
            asked_instead(monkeypatch, "http://127.0.0.1:9", tmp_path / "cache"),
            pytest.raises(
                ModelError, match=f"{_TAG}' need the hub at http://127.0.0.1:9, but it does not answer"
            ),
        ):
            fetch(offer())
