"""A greedy soup: the mean of the weights of fine-tunings, where validation images show a gain.

Wortsman et al. 2022, "Model soups: averaging weights of multiple fine-tuned models improves accuracy without increasing
inference time" (arXiv 2203.05482), algorithm 1. The mean of a fine-tuning and of the head that it began with is that of
Wortsman et al. 2022, "Robust fine-tuning of zero-shot models" (arXiv 2109.01903), with alpha 1/2.
"""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass, replace

from torch import Tensor, nn

from automl.data.loading.augment import Augment
from automl.data.loading.batches import Batches
from automl.final.ensemble.average import average
from automl.final.ensemble.select import LEAST_GAIN, loss_of
from automl.final.evidence.candidates import Alternative
from automl.final.evidence.delivery import Delivery
from automl.pipeline.plan.constants import MOST_COMBINED
from automl.pipeline.retrain.pool import Pool, PoolModel
from automl.training.evaluate import PART_BATCH, fit_size
from automl.training.models.hyperparameters import Recipe
from automl.training.steps.batch_norm import rows_wanted


@dataclass(frozen=True)
class Soup:
    """The mean of the weights of `members`, as `model`; the first member is the model that it began with.

    Each of `members` is (words, trial). `losses` are those after each addition, on the rows of the pool.
    """

    model: PoolModel
    members: tuple[tuple[str, int | None], ...]
    losses: tuple[float, ...]

    @property
    def words(self) -> str:
        """The soup as a member of an ensemble."""
        return f"the soup of {', '.join(words for words, _ in self.members)}"


def soup_of(pool: Pool, base: PoolModel) -> Soup | str:
    """Return the soup that begins with a model of the pool, or why there is none.

    The others have its network, with the same keywords and input, and began with the same published weights. From the
    best validation score on, each stays if the mean of the weights with it has a lower loss on the pool's rows.
    """
    if why := without_partner(pool, base.model):
        return why
    until, members = pool.until, [(base.words, base.trial)]
    networks, losses, tried = [base.model.trained.model], [loss_of(base.scores, pool.targets, pool.task)], 0
    made = base
    for model, words, trial in pool.like(base.model):
        if tried + 1 >= MOST_COMBINED or time.monotonic() >= until:
            break
        tried += 1
        mean = _mean(pool, base.model, [*networks, model.trained.model])
        found = pool.scored(mean, "", None, until=until)
        loss = float("inf") if found is None else loss_of(found.scores, pool.targets, pool.task)
        if found is not None and loss < losses[-1] * (1.0 - LEAST_GAIN):
            made = found
            networks.append(model.trained.model)
            members.append((words, trial))
            losses.append(loss)
    if not tried:
        return "there is no time to score another training"
    if len(members) < 2:
        return f"no mean with the weights of {tried} other trainings has a lower loss on validation images"
    soup = Soup(made, tuple(members), tuple(losses))
    return replace(soup, model=replace(made, words=soup.words))


def without_partner(pool: Pool, model: Alternative) -> str:
    """Return why the weights of a model can be averaged with no others; "" if they may be."""
    weights = pool.start_of(model)
    if weights is None:
        return "only fine-tunings of the same published weights can be averaged, and the model was trained from scratch"
    if pool.has_like(model):
        return ""
    return f"no other training of {weights.model} at {model.trained.size} px has weights"


def _mean(pool: Pool, base: Alternative, networks: list[nn.Module]) -> Alternative:
    """Return the mean of the weights as a model that is like `base` in all else."""
    network = pool.built_like(base)
    with closing(_images(pool, base)) as images:
        trained = replace(base.trained, model=average(network, networks, images))
    return Alternative(Delivery.SOUP, base.config, trained, mirrored=base.is_mirrored)


def _images(pool: Pool, base: Alternative) -> Generator[Tensor, None, None]:
    """Yield training images as the training of `base` saw them, as many as batch norms need for new statistics."""
    setup, recipe = pool.setup, Recipe.from_config(base.config)
    rows = setup.data.splits.train
    wanted = rows_wanted(len(rows))
    augment = Augment(recipe.augment, recipe.hflip, recipe.rand_augment, recipe.rot90)
    batches = Batches(
        rows,
        batch_size=min(PART_BATCH, len(rows)),
        info=base.trained.info,
        augment=augment,
        shuffle=True,
        seed=setup.config.seed,
        device=setup.device.kind,
    )
    for place, (images, _) in enumerate(batches.epoch(0)):
        if place * PART_BATCH >= wanted:
            return
        yield fit_size(images, base.trained.size)
