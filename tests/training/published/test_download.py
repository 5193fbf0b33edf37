"""Weights from a hub that is well, slow, breaks off, hangs, or is not there: what arrives, and what it costs."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from automl.training.models.weight_sources import in_caches
from automl.training.published.download import download
from tests.hub import Manner, StandIn, asked_instead, weights_of

_TAG, _OTHER = "test_resnet.r160_in1k", "test_vit.r160_in1k"
_SLACK = 1.5  # seconds: this machine may be busy


def test_what_the_hub_has_is_fetched_and_what_would_take_too_long_is_not_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = StandIn(weights_of(_TAG))
    models = [("test_resnet", 0.4), ("test_vit", 0.4), ("resnet18", 1e9)]
    told: list[tuple[float, float]] = []
    with asked_instead(monkeypatch, hub.address, tmp_path):
        got = download(models, seconds=60, progress=lambda done, total: told.append((done, total)))
        assert list(got.weights) == ["test_resnet"] == list(in_caches([name for name, _ in models]))
    hub.close()
    weights = got.weights["test_resnet"]
    assert (weights.model, weights.source, weights.licence) == (_TAG, "hub", "apache-2.0")
    assert weights.origin == f"https://huggingface.co/timm/{_TAG}"
    assert weights.file.read_bytes() == hub.files[_TAG] and got.size == len(hub.files[_TAG])
    assert all(done <= total for done, total in told)
    assert any("test_vit" in path for path in hub.asked)
    assert not any("resnet18" in path for path in hub.asked)


def test_weights_without_an_allowed_licence_are_not_downloaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = StandIn(weights_of(_TAG))
    with asked_instead(monkeypatch, hub.address, tmp_path):
        assert not download([("test_resnet", 0.4)], seconds=60, licences="mit").weights
    hub.close()
    assert not hub.asked


def test_connection_that_breaks_once_is_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub = StandIn(weights_of(_TAG), "breaks once")
    with asked_instead(monkeypatch, hub.address, tmp_path):
        got = download([("test_resnet", 0.4)], seconds=60)
    hub.close()
    assert got.weights["test_resnet"].file.read_bytes() == hub.files[_TAG]


@pytest.mark.parametrize("manner", ["slow", "breaks", "hangs"])
def test_hub_that_does_not_deliver_costs_no_more_than_its_seconds(
    manner: Manner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub, seconds = StandIn(weights_of(_TAG), manner), 2.0
    with asked_instead(monkeypatch, hub.address, tmp_path):
        begun = time.monotonic()
        got = download([("test_resnet", 0.4)], seconds=seconds)
        took = time.monotonic() - begun
    hub.close()
    assert not got.weights
    assert took <= seconds + _SLACK and got.seconds <= took


def test_most_wanted_file_that_fits_is_next_and_a_quick_hub_makes_room_for_large_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = StandIn(weights_of(_TAG, _OTHER))
    # At the speed that is assumed before the first byte, 120 MB would take longer than 20 s.
    models = [("test_vit", 30.0), ("test_resnet", 0.4)]
    with asked_instead(monkeypatch, hub.address, tmp_path):
        got = download(models, seconds=20)
    hub.close()
    assert list(got.weights) == ["test_resnet", "test_vit"]
    with asked_instead(monkeypatch, hub.address, tmp_path / "again"):
        assert not download(models, seconds=0.0).weights


def test_file_that_is_too_slow_is_given_up_for_a_smaller_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = StandIn({**weights_of(_TAG), _OTHER: b"x" * 4096}, "slow")
    with asked_instead(monkeypatch, hub.address, tmp_path):
        monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 1024)  # it counts more often
        got = download([("test_resnet", 0.4), ("test_vit", 0.001)], seconds=6)
    hub.close()
    assert list(got.weights) == ["test_vit"]
    assert got.size == 4096 < hub.sent < len(hub.files[_TAG])
