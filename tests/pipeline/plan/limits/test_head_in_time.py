"""The size at which a head has its network: the largest whose test the time holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from torch import nn

from automl.pipeline.plan.limits.asked import Asked
from automl.pipeline.plan.limits.fitting import Fitting
from automl.pipeline.plan.limits.head_in_time import Rows, head_configs, largest_in_time, size_in_words
from automl.records import Config
from tests.pipeline.plan.test_epoch_cost import INFO

RESNET = {"model": "resnet18", "pretrained": True, "size": 224}


@pytest.mark.parametrize(
    ("seconds_at_224", "size", "measured"),
    [(1.0, 224, [224]), (9.0, 160, [224, 160]), (15.0, 128, [224, 128]), (29.0, 96, [224, 96])],
)
def test_images_are_as_small_as_the_time_needs(seconds_at_224: float, size: int, measured: list[int]) -> None:
    seen: list[int] = []

    def row_seconds(_: nn.Module, config: Config) -> float:
        seen.append(config["size"])
        return seconds_at_224 * float(config["size"] / 224) ** 2

    found = largest_in_time(
        head_configs(RESNET, None),
        load=lambda config: nn.Identity(),
        row_seconds=row_seconds,
        fits=lambda config, seconds: seconds <= 6.0,
    )
    assert (found.config["size"], seen) == (size, measured)
    assert found.network is not None and found.row_seconds <= 6.0
    said = size_in_words(RESNET, found, "resnet18.a1_in1k", 100)
    assert (
        said == "" if size == 224 else f"gets images of {size} px, as scoring the holdout at 224 px" in said
    )


def test_a_size_that_is_slower_than_its_pixels_say_is_passed_over() -> None:
    slow = {224: 9.0, 160: 8.0, 128: 2.0}
    found = largest_in_time(
        head_configs(RESNET, None),
        load=lambda config: nn.Identity(),
        row_seconds=lambda _, config: slow[config["size"]],
        fits=lambda config, seconds: seconds <= 6.0,
    )
    assert found.config["size"] == 128 and found.network is not None


def test_without_time_at_any_size_there_is_no_network_and_a_sentence() -> None:
    found = largest_in_time(
        head_configs(RESNET, None),
        load=lambda config: nn.Identity(),
        row_seconds=lambda _, config: 1.0,
        fits=lambda config, seconds: False,
    )
    assert found.network is None
    said = size_in_words(RESNET, found, "resnet18.a1_in1k", 100)
    assert said.startswith("No linear head on features of resnet18.a1_in1k: ") and "100 s at 224 px" in said


@pytest.mark.parametrize(
    ("row_seconds", "smaller", "expected"),
    [(0.01, False, True), (0.08, False, True), (0.1, False, False), (0.02, True, True), (0.03, True, False)],
)
def test_smaller_images_need_time_for_all_rows(row_seconds: float, smaller: bool, expected: bool) -> None:
    """600 rows to read, 200 of the test, 40 s: the own size may read a part of the rows."""
    closing = 3.0 + 200 * row_seconds
    rows = Rows(read=600, scored=200)
    assert rows.fit(row_seconds, remaining=40.0, closing=closing, smaller=smaller) is expected


def test_sizes_begin_with_the_largest_that_keeps_the_limits_of_the_model() -> None:
    class Largest(Fitting):
        def __call__(self, config: Mapping[str, Any]) -> bool:
            return bool(config["size"] <= self.threads)

    kept = head_configs(RESNET, Largest(Asked(), INFO, (), threads=160, device="cpu"))
    assert [config["size"] for config in kept] == [160, 128, 96]
    assert head_configs(RESNET, Largest(Asked(), INFO, (), threads=0, device="cpu")) == []
    one_size = {**RESNET, "model": "resmlp_12_224"}
    assert [config["size"] for config in head_configs(one_size, None)] == [224]
    patches_of_14 = {**RESNET, "model": "vit_small_patch14_reg4_dinov2"}
    assert [config["size"] for config in head_configs(patches_of_14, None)] == [224, 196, 154, 126, 98]
