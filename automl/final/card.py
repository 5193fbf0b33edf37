"""The model card: README.md of the model folder."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from automl.data.sources.base import counted
from automl.documents.bounded_file import read_bounded
from automl.final.evaluation.words import of_document, weakest
from automl.final.evidence import words
from automl.final.model_folder import Preprocess
from automl.records import Config, DatasetInfo, score_text
from automl.spaces.architectures.factories import ALL_DEPTHS, ENSEMBLE, is_built_in, is_factory
from automl.terminal.printable import printable, short

CARD_FILE = "README.md"
_MOST_BYTES = 2**20  # of a card
CARD = """---
library_name: {library}
pipeline_tag: image-classification
---
# {study}: {model}
{verdict}
Trained by automl {version} on {n_train:,} images of `{name}` ({outputs}: {classes}).

| {heading} | value | 95 % interval | trivial answer |
|---|---|---|---|
{rows}

{weakest}{gap}

## Use
{use}
## How it was made
{made} {searched}
{weights}"""


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


DEEP = """
Pixels with more than 8 bits are first scaled from {black:g}..{white:g} to 0..1, for every image alike.
"""
SCALED = """
The outputs of the network are standardised, and `automl` undoes this. With the network alone, a value is
`output * std + mean` (`target_mean` and `target_std` in preprocess.json):

| value | mean | std |
|---|---|---|
"""
WARMED = """
`automl` divides the logits by the temperature {temperature:g}, so that probabilities mean what they say. The network
alone needs this before its softmax or sigmoid.
"""
MIRRORED = """
`automl` averages the predictions for an image and its mirror image, as the scores above do.
The network alone is slightly worse.
"""


def write_card(path: Path, document: dict[str, Any], preprocess: Preprocess) -> None:
    """Write the card of the model that `document` (result.json) describes."""
    info = preprocess.info
    config = words.delivered_config(document)
    classes = ", ".join(printable(short(name)) for name in info.classes[:10])
    classes += ", ..." if len(info.classes) > 10 else ""
    path.write_text(
        CARD.format(
            library="automl" if is_built_in(_builder(config)) else "timm",
            study=document["study"],
            model=_shown(config, document),
            verdict="" if words.is_usable(document) else f"\n**{words.not_usable(document)}**\n",
            version=document["versions"]["automl"],
            n_train=document["retrain"]["n_train"],
            name=printable(info.name),
            outputs=_outputs(info),
            classes=classes,
            heading=_heading(document),
            rows="\n".join(_row(name, document) for name in document["holdout"]),
            weakest=_weakest(document),
            gap=document["gap"]["explained"],
            use=_use(path.parent.name, _builder(config), preprocess),
            made=_made(document, {**config, "model": _shown(config, document)}),
            searched=_searched(document),
            weights=_weights(document),
        ),
        encoding="utf-8",
    )


def read_verdict(folder: Path) -> str:
    """Return the sentence of a model folder's card that says that the model is not usable; "" without one."""
    try:
        lines = read_bounded(folder / CARD_FILE, _MOST_BYTES).decode("utf-8").splitlines()
    except (OSError, ValueError):
        return ""
    return next((line.strip("*") for line in lines if line.startswith(f"**{words.NOT_USABLE}")), "")


def _heading(document: Mapping[str, Any]) -> str:
    n, times = document["data"]["n_holdout"], words.reads(document)
    apart = "not used before" if document["holdout_reads"] == 1 else "apart from training and validation"
    return f"test score on {counted(n, 'image')} {apart}, {times}"


def _row(name: str, document: Mapping[str, Any]) -> str:
    held = document["holdout"][name]
    interval = f"{score_text(held['low'])} to {score_text(held['high'])}"
    return f"| {name} | {score_text(held['value'])} | {interval} | {words.trivial(document, name)} |"


def _weakest(document: Mapping[str, Any]) -> str:
    """Return what the model is worst at, with the command that shows the rest; "" if there is nothing to tell."""
    said = weakest(of_document(document))
    if not said:
        return ""
    return f"{said}\n`automl evaluate {shlex.quote(document['study'])}` shows all of them.\n\n"


def _made(document: Mapping[str, Any], config: Config) -> str:
    """Return how the delivered model was made."""
    said = words.made(document)
    how = f"{said[:1].upper()}{said[1:]}."
    if document["retrain"].get("members"):  # each member has a configuration of its own
        return how
    values = ", ".join(f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in config.items())
    return f"Configuration: {values}.\n{how}"


def _searched(document: Mapping[str, Any]) -> str:
    """Return what the search compared, and on which images."""
    if not words.is_scored(document):
        said = words.not_scored(document)
        return f"{said[:1].upper()}{said[1:]}. The scores above come from images that no model trained on."
    best, n, folds = document["best"], document["data"]["n_val"], words.folds(document)
    images = (
        f"{counted(n, 'image')} out of fold, in {folds} folds" if folds else counted(n, "validation image")
    )
    return (
        f"The search compared {counted(document['trials']['total'], 'configuration')} on {images} (best: "
        f"{document['metric']} {words.number(best['val_score'])}; trivial answer: "
        f"{words.number(best.get('val_trivial'))}). The scores above come from other images."
    )


def _shown(config: Config, document: Mapping[str, Any]) -> str:
    """Return the model's name, with the tag of the weights that it started from."""
    weights = document.get("weights")
    model = str(config["model"])
    if model == ENSEMBLE:
        return "ensemble"
    return str(weights["weights"]) if weights else model if is_factory(model) else model.partition(".")[0]


def _builder(config: Config) -> str:
    """Return what builds the network: timm by its name, or a function."""
    return ALL_DEPTHS if config.get("depths") else str(config["model"])


def _weights(document: Mapping[str, Any]) -> str:
    """Return a sentence about the weights that the model started from; "" for a network from scratch."""
    weights = document.get("weights")
    if not weights:
        return ""
    where = weights["origin"] or "a folder of the user"
    return (
        f"\nIt started from the pretrained weights `{weights['weights']}` (licence: {weights['licence']}; "
        f"from {where}).\nTheir licence may also bind this model.\n"
    )


def _use(folder: str, model: str, preprocess: Preprocess) -> str:
    info, text = preprocess.info, USE_OWN if is_factory(model) else USE
    text = USE_BUILT_IN if is_built_in(model) else text
    used = text.format(
        folder=folder, model=model, mean=_short(info.mean), std=_short(info.std), size=preprocess.size
    )
    if info.pixel_range:
        used += DEEP.format(black=info.pixel_range[0], white=info.pixel_range[1])
    if info.task == "regression":
        used += SCALED + "".join(
            f"| {printable(name)} | {mean!r} | {std!r} |\n"
            for name, mean, std in zip(info.classes, info.target_mean, info.target_std, strict=True)
        )
    if preprocess.temperature != 1.0:
        used += WARMED.format(temperature=preprocess.temperature)
    return used + MIRRORED if preprocess.mirrored else used


def _outputs(info: DatasetInfo) -> str:
    """Return how many classes, labels or values the model predicts."""
    nouns = {
        "classification": ("class", "classes"),
        "multilabel": ("label", "labels"),
        "regression": ("value", "values"),
    }
    one, many = nouns[info.task]
    return f"{info.n_outputs} {one if info.n_outputs == 1 else many}"


def _short(values: tuple[float, ...]) -> str:
    return "(" + ", ".join(f"{value:.3f}" for value in values) + ")"
