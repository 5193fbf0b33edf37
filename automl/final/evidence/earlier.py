"""The model that an earlier run of the study delivered, as a candidate of this run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from automl.errors import AutomlError, ModelError
from automl.final.evidence.candidates import Alternative, Positions
from automl.final.evidence.delivery import Delivery
from automl.final.evidence.gap import with_reads
from automl.final.evidence.words import delivered_config
from automl.final.model_folder import weights_sha256
from automl.final.predictor import Predictor
from automl.final.retrain import KEPT_INDEX, Retrained
from automl.records import Interval, Rows, SearchSplits

FROM_TRAINING = (Delivery.OWN_WEIGHTS, Delivery.HEAD)  # models that may have trained on no validation row


@dataclass(frozen=True)
class Earlier:
    """The delivered model of an earlier run, and that run's `result`, with the number of reads by now.

    `made` is the kind of model that it was then, `trial` the trial whose configuration it has. `unseen` are the
    positions of the validation rows on which it did not train.
    """

    model: Alternative
    made: Delivery
    trial: int
    unseen: Positions
    result: Mapping[str, Any]

    @property
    def images(self) -> int:
        """The number of images on which it trained in all; 0 for a linear head."""
        return self.model.trained.images_trained

    def seen(self, n_val: int) -> np.ndarray:
        """Return for each validation row (n_val,) whether it trained on it."""
        seen = np.ones(n_val, dtype=bool)
        seen[self.unseen] = False
        return seen

    def numbers(self) -> dict[str, Any]:
        """Return what a later run must know about it, for result.json."""
        return {"made": self.made.value, "images": self.images, "kept_out": len(self.unseen)}


def read_earlier(study: Path, result: Mapping[str, Any], splits: SearchSplits, *, reads: int) -> Earlier:
    """Return the model in the folder `study`, which `result` (its result.json) describes.

    A result of an earlier version does not say on which validation rows the model trained: on all of them, then.
    `reads` is how often the holdout was read by now. Raises ModelError if the model cannot be loaded, or does not fit
    the data or the result, as after a run that was killed between replacing the model and writing its result. The
    digest of the weights tells; a result of an earlier version has none, so that any later read counts against it.
    """
    try:
        said = _Said.read(result)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ModelError(
            f"result.json does not say how the model was made ({type(error).__name__}: {error})"
        ) from error
    if said.sha256 is None and reads > said.reads:
        raise ModelError(
            "a later run read the holdout and may have replaced it, but ended before it wrote a result"
        )
    try:
        found = Predictor.load(study / "model", factory=str(said.config["model"]))
    except ModelError:
        raise
    except AutomlError as error:  # the function that builds a user's network
        raise ModelError(str(error)) from error
    if said.sha256 not in (None, weights_sha256(study / "model")):
        raise ModelError("a later run replaced it, but ended before it wrote a result")
    info, own = splits.info, found.info
    if (own.task, own.classes, own.in_chans) != (info.task, info.classes, info.in_chans):
        raise ModelError("the model was made for other classes or channels than these data have")
    trained = Retrained(
        model=found.model,
        size=found.size,
        epochs=said.epochs,
        seconds=said.seconds,
        n_train=said.n_train,
        images_trained=said.images,
        info=own,
    )
    return Earlier(
        Alternative(Delivery.EARLIER, said.config, trained, mirrored=found.mirrored),
        said.made,
        said.trial,
        _unseen(study, splits.val, said, n_train=splits.info.n_train),
        with_reads(result, max(reads, said.reads)),
    )


@dataclass(frozen=True)
class _Said:
    """What a result says of its delivered model.

    `kept_out`: how many validation rows it did not train on. `reads`: how often the holdout was read.
    `sha256`: the digest of its weights, None in a result of an earlier version.
    """

    made: Delivery
    trial: int
    config: dict[str, Any]
    epochs: float
    seconds: float
    n_train: int
    images: int
    kept_out: int
    reads: int
    sha256: str | None

    @classmethod
    def read(cls, result: Mapping[str, Any]) -> _Said:
        """Raises AttributeError, KeyError, TypeError or ValueError if it lacks something."""
        retrain, metric = result["retrain"], result["metric"]
        Interval(**result["holdout"][metric])  # which stands if the model is kept
        how = Delivery(retrain.get("how", Delivery.RETRAINED))
        evidence = retrain.get("evidence") or {}
        if how is Delivery.EARLIER:
            made, kept_out = Delivery(evidence["earlier"]["made"]), evidence["earlier"]["kept_out"]
        else:
            made, kept_out = how, evidence.get("kept_out", 0)
        epochs, n_train = float(retrain["epochs"]), int(retrain["n_train"])
        # Earlier versions did not count the images.
        images = 0 if made is Delivery.HEAD else int(retrain.get("images") or epochs * n_train)
        return cls(
            made=made,
            trial=int(retrain.get("trial", result["best"]["trial"])),
            config=delivered_config(result),
            epochs=epochs,
            seconds=float(retrain.get("seconds") or 0.0),
            n_train=n_train,
            images=images,
            kept_out=int(kept_out),
            reads=int(result["holdout_reads"]),
            sha256=result.get("model_sha256"),
        )


def _unseen(study: Path, val: Rows, said: _Said, *, n_train: int) -> Positions:
    """Return the positions of the validation rows on which the model did not train."""
    index = np.load(val.index)
    if said.made in FROM_TRAINING and said.n_train <= n_train:  # a head may be fitted on both parts at last
        return np.arange(len(index), dtype=np.int64)
    none = np.empty(0, dtype=np.int64)
    if not said.kept_out:
        return none
    try:
        trained_on = np.load(study / KEPT_INDEX)
    except (EOFError, OSError, ValueError):
        return none
    unseen: Positions = np.flatnonzero(~np.isin(index, trained_on))
    return unseen if len(unseen) == said.kept_out else none
