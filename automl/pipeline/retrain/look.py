"""A look at the retrain before its end: heads that are worse already need no time for scoring the holdout."""

from __future__ import annotations

import copy
import math
import statistics

import numpy as np
import torch

from automl.final.evidence.candidates import Alternative, Candidate, compare
from automl.final.evidence.delivery import Delivery
from automl.final.retrain import Retrained
from automl.pipeline.retrain.contest import Contest
from automl.torch_setup import set_threads
from automl.training.trainer import Trainer

SHARE = 0.2  # of the time that a look may set free: at most, for the look


def look(contest: Contest, trainer: Trainer) -> None:
    """Score a retrain before its end on the rows that were kept out of it, and note the heads that it is better than.

    A head on features takes many times as long to score the holdout as a small network from scratch, and that time is
    reserved for the case that it is delivered. So there is a look where that sets free much more than the look takes.
    On a GPU there is none, where scoring is fast.
    """
    setup, n_val = contest.setup, len(contest.setup.data.splits.val)
    per_row = statistics.median_low(contest.per_row) if contest.per_row else math.inf
    free = setup.data.splits.info.n_holdout * (contest.others_per_row - per_row)
    if setup.device.kind != "cpu" or not len(contest.kept) or len(contest.kept) * per_row > SHARE * free:
        return
    so_far = Retrained(
        model=copy.deepcopy(trainer.averaged).eval(),  # a copy, as the training goes on
        size=trainer.size,
        epochs=trainer.epochs,
        seconds=trainer.spent,
        n_train=trainer.batches.n,
        images_trained=0,
        info=trainer.info,
        weights=trainer.pretrained,
    )
    model = Alternative(Delivery.RETRAINED, contest.found.best.config, so_far, mirrored=contest.mirrored)
    threads = torch.get_num_threads()
    found = contest.score(model, contest.kept, seen=np.zeros(n_val, dtype=bool)).candidate
    set_threads(threads)  # the training goes on with its own number
    if len(found.rows) < len(contest.kept):
        return
    heads = [one for one in contest.unbeaten if one.name is Delivery.HEAD]
    contest.beaten += [one for one in heads if _is_beaten(one, found, contest)]


def _is_beaten(head: Candidate, retrain: Candidate, contest: Contest) -> bool:
    """Return whether a head loses by the rule that decides at the end: by then the retrain is better still.

    The retrain must be better than a safe head by more than a standard error, and any other head than the retrain.
    """
    if head is contest.safe_head:
        return any(comparison.won for comparison in compare(retrain, head, contest.judge))
    compared = compare(head, retrain, contest.judge)
    return bool(compared) and not any(comparison.won for comparison in compared)
