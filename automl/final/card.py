"""The model card: README.md of the model folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from automl.final.model_folder import Preprocess
from automl.spaces.architectures.factories import is_built_in, is_factory

CARD = """---
library_name: timm
pipeline_tag: image-classification
---
# {study}: {model}

Trained by automl {version} on {n_train:,} images of `{name}` ({n_classes} classes: {classes}).

| test score on {n_holdout:,} images not used before | value | 95 % interval |
|---|---|---|
{rows}

{gap}

## Use
{use}
## How it was made
Configuration: {config}.
Trained for {epochs} epochs on {rows_of}. The search compared {trials} configurations on
{n_val:,} validation images (best: {metric} {val}). The scores above come from other images.
"""


USE = """```python
import automl
automl.load("{folder}").predict(["image.jpg"])
```
or, with timm alone (normalise with mean {mean} and std {std} at {size} px):
```python
import timm
model = timm.create_model("local-dir:{folder}", pretrained=True)
```
"""
USE_OWN = """The function `{model}` builds the network. It is not in this folder and must be importable:
```python
import automl
automl.load("{folder}", factory="{model}").predict(["image.jpg"])
```
or `automl predict {folder} image.jpg --factory {model}`. Pixels are normalised with mean {mean} and std {std} at
{size} px.
"""


USE_BUILT_IN = """```python
import automl
automl.load("{folder}").predict(["image.jpg"])
```
or `automl predict {folder} image.jpg`. Pixels are normalised with mean {mean} and std {std} at {size} px. The network
is part of automl: `{model}`.
"""


MIRRORED = """`automl` averages the predictions for an image and its mirror image, as the scores above do.
The network alone is slightly worse.
"""


def write_card(path: Path, document: dict[str, Any], preprocess: Preprocess) -> None:
    """Write the card of the model that `document` (result.json) describes."""
    best, data, info = document["best"], document["data"], preprocess.info
    rows = "\n".join(
        f"| {name} | {value['value']:.4f} | {value['low']:.4f} to {value['high']:.4f} |"
        for name, value in document["holdout"].items()
    )
    classes = ", ".join(info.classes[:10]) + (", ..." if len(info.classes) > 10 else "")
    path.write_text(
        CARD.format(
            study=document["study"],
            model=best["config"]["model"],
            version=document["versions"]["automl"],
            n_train=document["retrain"]["n_train"],
            name=info.name,
            n_classes=data["n_classes"],
            classes=classes,
            n_holdout=data["n_holdout"],
            n_val=data["n_val"],
            rows=rows,
            gap=document["gap"]["explained"],
            use=_use(path.parent.name, best["config"]["model"], preprocess),
            config=", ".join(
                f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in best["config"].items()
            ),
            epochs=document["retrain"]["epochs"],
            trials=document["trials"]["total"],
            metric=document["metric"],
            val="none" if best["val_score"] is None else f"{best['val_score']:.4f}",
            rows_of=_rows_of(document),
        ),
        encoding="utf-8",
    )


def _rows_of(document: dict[str, Any]) -> str:
    """Return which images it was trained on; with too little time, the best trial's own weights are delivered."""
    if document["retrain"]["n_train"] == document["data"]["n_train"]:
        return "the training images during the search"
    return "the training and validation images"


def _use(folder: str, model: str, preprocess: Preprocess) -> str:
    info, text = preprocess.info, USE_OWN if is_factory(model) else USE
    text = USE_BUILT_IN if is_built_in(model) else text
    used = text.format(
        folder=folder, model=model, mean=_short(info.mean), std=_short(info.std), size=preprocess.size
    )
    return used + MIRRORED if preprocess.mirrored else used


def _short(values: tuple[float, ...]) -> str:
    return "(" + ", ".join(f"{value:.3f}" for value in values) + ")"
