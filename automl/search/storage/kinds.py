"""Which kind of model a trial is: a linear head, a fine-tuning, or a training from scratch. Imports no Optuna."""

from __future__ import annotations

from automl.records import Config

HEAD = "head"  # the origin of a trial that is a linear head: it was complete before the search began
ON_FEATURES, ON_PIXELS = "head on features", "head on pixels"
FINE_TUNED, FROM_SCRATCH = "fine-tuned", "from scratch"
HEADS = (ON_FEATURES, ON_PIXELS)


def kind_of(config: Config, origin: str = "") -> str:
    """Return the kind of a trial as tables show it; "" for a configuration without a model, as `automl.tune` has."""
    pretrained = bool(config.get("pretrained"))
    if origin == HEAD:
        return ON_FEATURES if pretrained else ON_PIXELS
    if "model" not in config:
        return ""
    return FINE_TUNED if pretrained else FROM_SCRATCH
