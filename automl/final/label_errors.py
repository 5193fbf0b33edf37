"""Find images whose label is probably wrong, from predictions of models that did not train on these labels.

Confident learning (Northcutt, Jiang and Chuang 2021, "Confident learning: estimating uncertainty in dataset
labels", JAIR 70): a class is likely for an image if its probability reaches the class's mean over the images with that
label. The mean corrects for a model that is more, or less, certain of one class than of others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from torch import Tensor, nn

from automl.final.retrain import best_checkpoint
from automl.records import SearchSplits
from automl.search import BestTrial
from automl.training.cross_validation import read_outputs
from automl.training.evaluate import predict_rows
from automl.training.plan import TrainPlan
from automl.training.steps.losses import to_scores
from automl.training.trial import ImageTrial

if TYPE_CHECKING:
    import pandas as pd

# Below this kappa, a contradiction says more about the model than about the label.
MIN_AGREEMENT = 0.5
_MIN_CONFIDENCE = 0.5
COLUMNS = ("file", "given_label", "suggested_label", "confidence")


@dataclass(frozen=True)
class TrialOutputs:
    """Outputs of the best trial: probabilities (n, n_classes) of the validation rows, and features (n_train,
    n_features) before its last layer of the training rows, or None. Under cross-validation the first are out of fold,
    and of all rows of `pooled_index`.
    """

    val_probabilities: npt.NDArray[np.float32]
    train_features: npt.NDArray[np.float32] | None


def trial_outputs(
    best: BestTrial, splits: SearchSplits, plan: TrainPlan, *, with_train: bool
) -> TrialOutputs | None:
    """Return the outputs of the best trial, or None if it left no checkpoint of its best round.

    Raises StorageError if its checkpoint cannot be read.
    """
    place = best_checkpoint(best)
    if place is None:
        return None
    if splits.folds:
        outputs = read_outputs(place)
        return None if outputs is None else TrialOutputs(to_scores(outputs, splits.info.task).numpy(), None)
    trial = ImageTrial(best.config, splits=splits, plan=replace(plan, replicas=1, deadline=None))
    try:
        trial.load(place)
        model, size, info = trial.trainer.averaged, trial.trainer.size, trial.trainer.info
        logits, _ = predict_rows(model, splits.val, info, size=size, device=plan.device)
        features = None
        if with_train:
            network = _FeatureExtractor(model)
            features, _ = predict_rows(network, splits.train, info, size=size, device=plan.device)
    finally:
        trial.close()
    scores = np.asarray(to_scores(logits, splits.info.task).numpy())
    return TrialOutputs(scores, None if features is None else np.asarray(features.numpy()))


class _FeatureExtractor(nn.Module):
    """Computes the input of a network's last layer (of its last linear layer, if the network is not timm's)."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self._network: Any = network
        self._last = [layer for layer in network.modules() if isinstance(layer, nn.Linear)][-1:]

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, n_features)."""
        if hasattr(self._network, "forward_head"):
            found: Tensor = self._network.forward_head(
                self._network.forward_features(images), pre_logits=True
            )
            return found.flatten(1)
        kept: list[Tensor] = []
        hooks = [
            layer.register_forward_pre_hook(lambda _, given: kept.append(given[0])) for layer in self._last
        ]
        try:
            answer: Tensor = self._network(images)
        finally:
            for hook in hooks:
                hook.remove()
        return (kept[-1] if kept else answer).flatten(1)


def agreement(scores: npt.NDArray[np.float32], given: Sequence[str], classes: Sequence[str]) -> float:
    """Return Cohen's kappa of the predicted classes and the given labels: 0 is chance, 1 is full agreement.

    Unlike accuracy, it does not depend on the number of classes (Cohen 1960). 0 if all labels are the same.
    """
    if len(set(given)) < 2:
        return 0.0
    from sklearn.metrics import cohen_kappa_score

    said = [classes[i] for i in scores.argmax(axis=1)]
    return float(cohen_kappa_score(given, said))


def merge_tables(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Merge tables of `find_label_errors`, the clearest first; columns `COLUMNS`."""
    import pandas as pd

    whole = pd.concat(list(tables), ignore_index=True) if len(tables) > 1 else tables[0]
    return whole.sort_values("margin", ascending=False, kind="stable", ignore_index=True)[list(COLUMNS)]


def find_label_errors(
    scores: npt.NDArray[np.float32], files: Sequence[str], given: Sequence[str], classes: Sequence[str]
) -> pd.DataFrame:
    """Return a table of likely label errors, the clearest first; columns `COLUMNS` and `margin`.

    `scores`: (n, n_classes) from a model that did not train on these images; `given`: their labels. An image is listed
    if its most probable likely class is not the given one and has a probability above one half. `confidence` is that
    probability, `margin` its distance to that of the given class. A class without images is never suggested.
    """
    import pandas as pd

    number = {name: i for i, name in enumerate(classes)}
    labels = np.array([number[name] for name in given], dtype=np.int64)
    rows = np.arange(len(labels))
    own = scores[rows, labels].astype(np.float64)
    counts = np.bincount(labels, minlength=len(classes))
    sums = np.bincount(labels, weights=own, minlength=len(classes))
    thresholds = np.where(counts > 0, sums / np.maximum(counts, 1), np.inf)
    likely = np.where(scores >= thresholds, scores, -np.inf)
    suggested = likely.argmax(axis=1)
    best = likely[rows, suggested]
    found = np.flatnonzero((suggested != labels) & (best > np.maximum(own, _MIN_CONFIDENCE)))
    order = found[np.argsort(own[found] - best[found], kind="stable")]
    return pd.DataFrame(
        {
            "file": [files[i] for i in order],
            "given_label": [classes[labels[i]] for i in order],
            "suggested_label": [classes[suggested[i]] for i in order],
            "confidence": [round(float(best[i]), 4) for i in order],
            "margin": [float(best[i] - own[i]) for i in order],
        },
        columns=[*COLUMNS, "margin"],
    )


def summary_sentence(table: pd.DataFrame, n: int, *, which: str = "validation") -> str:
    """Return one sentence about the label errors found in `n` images; "" for none."""
    if table.empty:
        return ""
    first = table.iloc[0]
    count = f"{len(table)} of {n:,} {which} images"
    return (
        f"{count} may have a wrong label, see label_errors.csv; the clearest is {first['file']} "
        f"(labelled {first['given_label']}, probably {first['suggested_label']}, {first['confidence']:.2f})."
    )
