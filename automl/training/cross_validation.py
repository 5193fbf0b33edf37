"""A trial under cross-validation: one training for each fold, which advance together.

A round trains each of them by the same number of steps. Its value is the metric over the outputs for all rows, each by
the training that has not seen the row: out of fold, and not a mean of the metrics of folds.

One network is in memory, and goes from fold to fold: its weights and the state of its optimizer are exchanged.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from automl.errors import StorageError
from automl.machine import Moment
from automl.records import VAL_ROWS, Config, Rows, SearchSplits
from automl.training import checkpoint
from automl.training.evaluate import Answers, predict_part, predict_rows
from automl.training.models.complexity import MACS, PARAMS, parameters
from automl.training.models.finetune import begin_with_head, head_name, head_of_fold
from automl.training.plan import TrainPlan
from automl.training.snapshot import Snapshot
from automl.training.trainer import STATES, Trainer
from automl.training.trial import BEST, ImageTrial

MOST_IN_MEMORY = 2**30  # bytes of all states of a trial; larger ones wait in files
_OUTPUTS = "outputs"

Array = npt.NDArray[Any]


def pooled_index(splits: SearchSplits) -> npt.NDArray[np.int64]:
    """Return the rows of all folds (n,), one fold after the other: the order of pooled outputs."""
    return np.concatenate([np.load(fold.val.index) for fold in splits.folds])


def pooled_targets(splits: SearchSplits) -> Array:
    """Return the targets (n, ...) of the rows of all folds, in the order of `pooled_index`."""
    return np.asarray(np.load(splits.val.targets, mmap_mode="r")[pooled_index(splits)])


def states_in_memory(folds: int, params: float) -> int:
    """Return the bytes that the states of a trial of so many folds take besides a network with `params` parameters."""
    return min(MOST_IN_MEMORY, round(folds * STATES * 4 * params))


def read_fold(directory: Path, fold: int = 0) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return weights and state of the training of one fold, from 0, as `Trainer.restore` takes them.

    Raises StorageError if the checkpoint is damaged, or of a trial without folds.
    """
    weights, state = checkpoint.read(directory)
    try:
        return _of_fold(weights, fold), state["folds"][fold]
    except (IndexError, KeyError) as error:
        raise StorageError(
            f"the checkpoint {str(directory)!r} is not of a cross-validation; remove it to start over"
        ) from error


def read_outputs(directory: Path) -> Tensor | None:
    """Return the outputs (n, n_outputs) for the rows of all folds, out of fold; None if some fold has none yet.

    Raises StorageError if the checkpoint is damaged.
    """
    _, state = checkpoint.read(directory)
    found: list[Tensor] = state.get(_OUTPUTS, [])
    return torch.cat(found) if found and all(len(part) for part in found) else None


class FoldTrainings:
    """The trainings of a configuration, one for each fold, that take turns with one network.

    Together they are one training that can be saved and restored. For each fold, `outputs` has the outputs
    (n, n_outputs) for its rows after its last round, none before that, and `rounds` and `steps` its length so far.
    """

    def __init__(self, config: Config, splits: SearchSplits, plan: TrainPlan) -> None:
        self.folds = splits.folds
        seconds = None if plan.round_seconds is None else plan.round_seconds / len(self.folds)
        self.trainer = Trainer(config, splits.info, splits.train, replace(plan, round_seconds=seconds))
        batches = [self.trainer.batches_of(fold.train) for fold in self.folds]
        size = min(each.batch_size for each in batches)  # folds may differ by a row
        self._batches = [replace(each, batch_size=size) for each in batches]
        self._parked = _Parked(len(self.folds) * STATES * 4 * parameters(self.trainer.model))
        self.outputs = [torch.empty(0, splits.info.n_outputs) for _ in self.folds]
        self.rounds, self.steps = [0] * len(self.folds), [0] * len(self.folds)
        for place in range(len(self.folds)):
            if place:
                self._begin_with_head_of(place)
            self._parked.put(place, Snapshot(self.trainer))
        self.enter(0)

    def enter(self, place: int) -> Trainer:
        """Return the trainer in the state of one fold, from 0. What it was before is lost without `leave`."""
        kept, trainer = self._parked.get(place), self.trainer
        known = trainer.round.known
        kept.restore_to(trainer)
        trainer.round.known = trainer.round.known or known  # every fold takes as many steps as the first
        trainer.batches = self._batches[place]
        trainer.last_good.hold(kept, trainer.steps)
        return trainer

    def leave(self, place: int, outputs: Tensor) -> None:
        """Keep the state of the trainer as that of one fold after a round, with the outputs for its rows."""
        self._parked.put(place, Snapshot(self.trainer))
        self.outputs[place] = outputs
        self.rounds[place], self.steps[place] = self.trainer.rounds, self.trainer.steps

    @property
    def epochs(self) -> float:
        """Passes of a training through its rows so far: the mean over folds."""
        return float(np.mean([n / len(each) for n, each in zip(self.steps, self._batches, strict=True)]))

    def weights(self) -> dict[str, Tensor]:
        """Return the weights of all folds, with the fold in front of each name."""
        return {
            f"{place}.{name}": tensor
            for place in range(len(self.folds))
            for name, tensor in self._parked.get(place).weights.items()
        }

    def state(self) -> dict[str, Any]:
        """Return the states of all folds, and the outputs."""
        states = [self._parked.get(place).state for place in range(len(self.folds))]
        return {"folds": states, _OUTPUTS: self.outputs}

    def restore(self, weights: dict[str, Tensor], state: dict[str, Any]) -> None:
        """Continue from `weights` and `state`."""
        for place in range(len(self.folds)):
            self._parked.put(place, Snapshot.of(_of_fold(weights, place), state["folds"][place]))
        self.outputs = list(state[_OUTPUTS])
        self.rounds = [int(each["rounds"]) for each in state["folds"]]
        self.steps = [int(each["steps"]) for each in state["folds"]]
        self.enter(0)

    def close(self) -> None:
        """Remove files of states."""
        self._parked.close()

    def _begin_with_head_of(self, place: int) -> None:
        """Put the head of this fold into the new network: that of another one has seen rows of this fold."""
        trainer = self.trainer
        own = trainer.pretrained
        file = None if own is None else trainer.plan.heads.get(head_name(trainer.recipe, own))
        if file is None:
            return
        for network in {id(each): each for each in (trainer.model, trainer.averaged)}.values():
            begin_with_head(network, head_of_fold(file, place))


class CrossValidatedTrial(ImageTrial):
    """Trains a configuration on each fold's other rows, and scores it on the rows of all folds.

    It is a trial like any other: it can be paused, saved, continued and promoted.
    """

    def __init__(self, config: Config, *, splits: SearchSplits, plan: TrainPlan) -> None:
        self.trainings = FoldTrainings(config, splits, plan)
        self._begin(self.trainings.trainer, splits, plan)

    def step(self) -> dict[str, float | bool | str]:
        """Train one round of each fold and score the rows of all folds; return the report, as `ImageTrial` does.

        `images` counts those of all folds; `epochs` are those of one. A trial that meets the deadline before its first
        report scores the folds that have trained. Folds that the deadline found ahead of others wait for them.
        """
        begun, goal = time.perf_counter(), min(self.trainings.rounds) + 1
        losses, images, scale = list[float](), 0, 1.0
        for place, fold in enumerate(self.trainings.folds):
            if self.trainings.rounds[place] >= goal:
                continue
            trainer = self.trainings.enter(place)
            first = trainer.steps
            loss = trainer.train_round()
            images += (trainer.steps - first) * trainer.batches.batch_size
            if loss is None and not (self._owes_report and (place or trainer.steps)):
                return {"interrupted": True, "seconds": time.perf_counter() - begun}
            if loss is None or (self._owes_report and not self._fits(time.perf_counter() - begun)):
                return self._report_of_some(place, images, begun)
            losses.append(loss)
            scale = min(scale, trainer.lr_scale)
            self.trainings.leave(place, self._outputs(fold.val))
        self._reported()
        metrics = (
            self._pooled(range(len(self.trainings.folds)))
            | self._model_size()
            | {
                "train_loss": float(np.mean(losses)),
                "images": float(images),
                "epochs": round(self.trainings.epochs, 3),
                "micro_batch": float(self.trainer.micro_batch),
                "lr_scale": scale,
            }
        )
        return self._finished(metrics, self.trainings, begun)

    def save(self, directory: Path) -> None:
        """Write a checkpoint of all folds into `directory`."""
        checkpoint.write(directory, self.trainings.weights(), self.trainings.state())
        if self.patience is not None:
            self.patience.save(directory / BEST)

    def load(self, directory: Path) -> None:
        """Continue from a checkpoint in `directory`. Raises StorageError if it is damaged."""
        weights, state = checkpoint.read(directory)
        if "folds" not in state:
            raise StorageError(
                f"the checkpoint {str(directory)!r} is not of a cross-validation; remove it to start over"
            )
        self.trainings.restore(weights, state)
        self._reported()
        if self.patience is not None:
            self.patience.load(directory / BEST)

    def close(self) -> None:
        """Free the memory and remove files of states."""
        self.trainings.close()
        del self.trainings
        super().close()

    def _outputs(self, rows: Rows) -> Tensor:
        trainer, plan = self.trainer, self.plan
        trainer.settle()
        model, info = trainer.averaged, trainer.info
        device, precision = plan.device, plan.precision
        return predict_rows(model, rows, info, size=trainer.size, device=device, precision=precision)[0]

    def _pooled(self, places: Sequence[int], more: Answers | None = None) -> dict[str, float]:
        """Return the metric and the loss over the rows of these folds, and of `more` answers."""
        vals = [self.trainings.folds[place].val for place in places]
        outputs = [self.trainings.outputs[place] for place in places]
        targets, rows = [_targets(val) for val in vals], [np.load(val.index) for val in vals]
        if more is not None:
            outputs, targets, rows = [*outputs, more.logits], [*targets, more.targets], [*rows, more.rows]
        pooled = Answers(torch.cat(outputs), torch.cat(targets), np.concatenate(rows))
        return self._scored_by(pooled) | {VAL_ROWS: float(len(pooled.rows))}

    def _report_of_some(self, place: int, images: int, begun: float) -> dict[str, float | bool | str]:
        """Return a report of the folds before `place`, and of a part of this one's round, before the deadline."""
        plan, trainer, more = self.plan, self.trainer, None
        if trainer.steps:
            until = (plan.deadline or Moment.now()).later(-plan.reporting / 3)
            trainer.settle(plan.reporting / 6)
            rows = self.trainings.folds[place].val
            more = predict_part(
                trainer.averaged, rows, trainer.info, size=trainer.size, plan=plan, until=until
            )
        return {
            **self._pooled(range(place), more),
            PARAMS: parameters(trainer.averaged),
            MACS: math.nan,  # no time to count them
            "images": float(images),
            "epochs": round(self.trainings.epochs, 3),
            "seconds": time.perf_counter() - begun,
            "interrupted": True,
        }


class _Parked:
    """The states of the folds that are not in the network: in memory, or in files if they are large."""

    def __init__(self, size: float) -> None:
        self._memory: dict[int, Snapshot] = {}
        self._folder = TemporaryDirectory() if size > MOST_IN_MEMORY else None

    def put(self, place: int, state: Snapshot) -> None:
        """Keep the state of a fold."""
        if self._folder is None:
            self._memory[place] = state
        else:
            checkpoint.write(Path(self._folder.name) / str(place), state.weights, state.state)

    def get(self, place: int) -> Snapshot:
        """Return the state of a fold."""
        if self._folder is None:
            return self._memory[place]
        return Snapshot.of(*checkpoint.read(Path(self._folder.name) / str(place)))

    def close(self) -> None:
        """Forget all states."""
        self._memory.clear()
        if self._folder is not None:
            self._folder.cleanup()


def _of_fold(weights: dict[str, Tensor], fold: int) -> dict[str, Tensor]:
    found = {
        name.partition(".")[2]: tensor
        for name, tensor in weights.items()
        if name.partition(".")[0] == str(fold)
    }
    if not found:
        raise KeyError(fold)
    return found


def _targets(rows: Rows) -> Tensor:
    return torch.from_numpy(np.load(rows.targets)[np.load(rows.index)])
