"""How images become squares: as the study was told, as its first run did, or after a look at some images."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

from automl.data import Source
from automl.data.labelled_rows import Labelled
from automl.data.prepare import ResizeOptions
from automl.data.splits import Split
from automl.errors import ModelError
from automl.machine import Moment
from automl.pipeline.context import Context
from automl.pipeline.plan.hardware import Device
from automl.pipeline.weights.find import FoundWeights
from automl.records import Resize
from automl.training.heads.resize import compare_ways

# Of the time left: for a look at how images should become squares, and at most for decoding them again after it.
RESIZE_SHARE, RESIZE_SECONDS = 0.06, 15.0
AGAIN_SHARE = 0.1


def resize_options(
    context: Context, looked: FoundWeights | None, device: Device, look: dict[str, Any]
) -> ResizeOptions:
    """Return how images become squares. A resumed study keeps its way; `auto` needs weights for its look.

    What that finds is added to `look`.
    """
    config, earlier = context.config, context.workspace.read_plan()
    known: ResizeOptions = {}
    if earlier is not None and "pixel_range" in earlier:
        known = {"pixel_range": tuple(earlier["pixel_range"])}
    if config.resize != "auto":
        return {"resize": config.resize, **known}
    if earlier is not None:
        return {"resize": earlier.get("resize", "crop"), **known}
    if looked is None or not looked.weights:
        return {}
    smallest_first = sorted(looked.weights.values(), key=lambda one: one.file.stat().st_size)
    begun = Moment.now()

    def choose(source: Source, labelled: Labelled, split: Split) -> Resize:
        remaining, decoding = context.clock.remaining(), Moment.now().after(begun)
        # Without a limit the result must not depend on what else the machine does.
        seconds = math.inf if remaining is None else min(RESIZE_SECONDS, RESIZE_SHARE * remaining)
        if remaining is not None and decoding > AGAIN_SHARE * remaining:
            return "crop"
        until, found = Moment.now().later(seconds), None
        for weights in smallest_first:
            try:
                found = compare_ways(
                    source,
                    labelled,
                    split,
                    weights,
                    until=until,
                    seed=config.seed,
                    device=device.kind,
                    threads=device.all_threads if device.kind == "cpu" else 1,
                )
                break
            except ModelError:  # the choice of weights tells of it
                continue
        if found is None:
            return "crop"
        context.observer.note(found.in_words())
        look.update(asdict(found))
        return found.better

    return {"choose_resize": choose}
