"""A linear model on small pixels: the floor that every model must beat.

An image is averaged over areas to 16 x 16 pixels, and a multinomial logistic regression (several labels: one logistic
regression each; regression: a robust linear one) is fitted with torch's L-BFGS. It is a network like any other: it is
delivered, loaded and asked in the same way. A search should be compared with such a baseline: Sculley et al. 2018,
"Winner's curse? On pace, progress, and empirical rigor".
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from automl.data.balance import Balance
from automl.data.cache.streamed_images import open_images
from automl.data.folds import RowFolds
from automl.machine import Moment
from automl.records import Config, DatasetInfo, Mode, Rows, SearchSplits
from automl.spaces.architectures.factories import LINEAR_ON_PIXELS
from automl.training.evaluate import Answers, score
from automl.training.heads.class_weights import weights_of_classes
from automl.training.heads.fit import ROBUST, regression_of
from automl.training.heads.out_of_fold import OutOfFold, cross_validate
from automl.training.heads.record import Head, Ranked
from automl.training.models.linear_head import LinearOnPixels, thumbnails
from automl.training.steps.losses import loss, standardised

MOST_TRAIN, MOST_VAL = 10_000, 4_000  # rows
# Inverse strengths of the L2 penalty as scikit-learn counts them (C), the strongest penalty first.
STRENGTHS = (1e-3, 1e-2, 1e-1)
READING_SHARE = 0.5  # of the time
_ROWS_AT_ONCE = 64
_ITERATIONS, _LOOKS = 10, 8  # of L-BFGS between two looks at the clock, and such looks for each strength


@torch.no_grad()
def fit_linear_head(
    splits: SearchSplits,
    *,
    metric: str,
    mode: Mode,
    until: Moment,
    balance: Balance = "none",
    seed: int = 0,
    folds: RowFolds | None = None,
) -> Head | None:
    """Fit the head on training rows and score it on validation rows, until the moment `until`.

    With less time, fewer random rows are read and fewer steps made. The strength of the penalty is the best of three by
    the score; with `folds` the head is cross-validated with that strength. Returns None if the score is not finite, or
    no row could be read in time.
    """
    begun, info = Moment.now(), splits.info
    if until.passed():
        return None
    reading = begun.later(READING_SHARE * until.after(begun))
    val = _read(splits.val, info, most=MOST_VAL, until=begun.later(0.3 * reading.after(begun)), seed=seed)
    train = _read(splits.train, info, most=MOST_TRAIN, until=reading, seed=seed)
    problem = _Problem(info, weights_of_classes(info, balance), metric, until)
    solver = problem.solver(train.features)
    best = _best(problem, solver, train, val, mode)
    if best is None:
        return None
    both = train.joined(val)
    full = None
    if not until.passed():
        full = solver.network(solver.fit(both.features, both.targets, best.strength, best.solution, until))
    crossed = None if folds is None else _cross_validated(problem, both, folds, best.strength)
    answers = Answers(solver.logits(val.features, best.solution), val.targets, val.rows)
    ranked = Ranked.of(best.value, answers, crossed, folds, info)
    config: Config = {"model": LINEAR_ON_PIXELS, "lr": 1.0}
    return Head(
        model=solver.network(best.solution),
        full=full,
        config=config,
        info=info,
        size=info.img_size,
        val_score=ranked.value,
        n_train=len(train),
        n_val=ranked.n,
        n_full=len(both),
        seconds=Moment.now().after(begun),
        strength=best.strength,
        estimator=ROBUST if info.task == "regression" else regression_of(info.task),
        answers=ranked.answers,
        out_of_fold=crossed,
    )


@dataclass(frozen=True)
class _Pixels:
    """Features (n, d), targets (n, ...) and rows (n,) of images."""

    features: Tensor
    targets: Tensor
    rows: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.rows)

    def joined(self, other: _Pixels) -> _Pixels:
        """Return both as one."""
        return _Pixels(
            torch.cat([self.features, other.features]),
            torch.cat([self.targets, other.targets]),
            np.concatenate([self.rows, other.rows]),
        )


@dataclass(frozen=True)
class _Problem:
    """What is fitted, with the weights of classes in the loss, how it is scored, and until when it is fitted."""

    info: DatasetInfo
    class_weights: np.ndarray | None
    metric: str
    until: Moment

    def solver(self, features: Tensor) -> _Solver:
        """Return what solves for features that are standardised as these are."""
        return _Solver(features, self.info, self.class_weights)

    def score(self, logits: Tensor, targets: Tensor) -> float:
        return score(logits, targets, self.info, self.metric)[self.metric]


@dataclass(frozen=True)
class _Best:
    """The best strength of the penalty, with its solution and its metric on validation rows."""

    value: float
    strength: float
    solution: _Solution


def _best(problem: _Problem, solver: _Solver, train: _Pixels, val: _Pixels, mode: Mode) -> _Best | None:
    """Return the best of the strengths for which there was time; None if the metric is not finite for any."""
    best, sign = None, 1.0 if mode == "max" else -1.0
    solution = solver.start()
    for strength in STRENGTHS:  # each from the one before
        solution = solver.fit(train.features, train.targets, strength, solution, problem.until)
        value = problem.score(solver.logits(val.features, solution), val.targets)
        if math.isfinite(value) and (best is None or sign * value > sign * best.value):
            best = _Best(value, strength, solution)
        if problem.until.passed():
            break
    return best


def _cross_validated(
    problem: _Problem, pixels: _Pixels, folds: RowFolds, strength: float
) -> OutOfFold | None:
    x, y, until = pixels.features, pixels.targets, problem.until

    def fit(places: npt.NDArray[np.int64]) -> Callable[[npt.NDArray[np.int64]], npt.NDArray[Any]]:
        solver = problem.solver(x[places])
        solution = solver.fit(x[places], y[places], strength, solver.start(), until)
        return lambda scored: solver.logits(x[scored], solution).numpy()

    return cross_validate(pixels.rows, y, folds, fit, info=problem.info, metric=problem.metric, until=until)


@dataclass(frozen=True)
class _Solution:
    """Weight (d, k) and bias (k,) for standardised features."""

    weight: Tensor
    bias: Tensor


class _Solver:
    """Solves for features that are standardised as those of the training rows are."""

    def __init__(self, train: Tensor, info: DatasetInfo, weights: np.ndarray | None) -> None:
        self._info = info
        self._weights = None if weights is None else torch.tensor(weights, dtype=torch.float32)
        self._mean = train.mean(dim=0)
        self._deviation = train.std(dim=0, correction=0) + 1e-6

    def start(self) -> _Solution:
        return _Solution(
            torch.zeros(len(self._mean), self._info.n_outputs), torch.zeros(self._info.n_outputs)
        )

    def logits(self, features: Tensor, solution: _Solution) -> Tensor:
        return (features - self._mean) / self._deviation @ solution.weight + solution.bias

    def network(self, solution: _Solution) -> LinearOnPixels:
        """Return the network, which takes features that are not standardised."""
        model = LinearOnPixels(self._info.n_outputs, self._info.in_chans).eval()
        scaled = solution.weight / self._deviation[:, None]
        model.classifier.weight.copy_(scaled.T)
        model.classifier.bias.copy_(solution.bias - self._mean @ scaled)
        return model

    def fit(
        self, features: Tensor, targets: Tensor, strength: float, start: _Solution, until: Moment
    ) -> _Solution:
        """Return the solution for this strength, or where the search from `start` for it was at the moment `until`."""
        x, y = (features - self._mean) / self._deviation, standardised(targets, self._info)
        weight = start.weight.clone().requires_grad_(True)
        bias = start.bias.clone().requires_grad_(True)
        solver = torch.optim.LBFGS([weight, bias], max_iter=_ITERATIONS, line_search_fn="strong_wolfe")

        def objective() -> Tensor:
            with torch.enable_grad():
                solver.zero_grad()
                penalty = (weight * weight).sum() / (2.0 * strength * len(x))
                value = loss(x @ weight + bias, y, self._info.task, weights=self._weights) + penalty
                value.backward()
            return value

        before = math.inf
        for _ in range(_LOOKS):
            value = float(solver.step(objective))
            if until.passed() or not value < before - 1e-4 * abs(before if before < math.inf else 0.0):
                break
            before = value
        return _Solution(weight.detach(), bias.detach())


def _read(rows: Rows, info: DatasetInfo, *, most: int, until: Moment, seed: int) -> _Pixels:
    """Return random rows, as many as can be read in time; at least some."""
    index = np.load(rows.index)
    chosen = index[np.random.default_rng([seed, len(index)]).permutation(len(index))[:most]]
    images = open_images(rows.images)
    mean, deviation = (torch.tensor(values).view(1, -1, 1, 1) for values in (info.mean, info.std))
    found: list[Tensor] = []
    for start in range(0, len(chosen), _ROWS_AT_ONCE):
        if found and until.passed():
            break
        pixels = torch.from_numpy(np.ascontiguousarray(images[chosen[start : start + _ROWS_AT_ONCE]]))
        found.append(thumbnails((pixels.permute(0, 3, 1, 2).float() / 255.0 - mean) / deviation))
    features = torch.cat(found)
    read = chosen[: len(features)]
    return _Pixels(features, torch.from_numpy(np.load(rows.targets, mmap_mode="r")[read]), read)
