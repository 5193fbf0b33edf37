"""Fetch several weights one after the other, and say how far it is."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from automl.cli.output import complain, say_wrapped
from automl.config.sizes import format_size
from automl.data.sources.base import counted
from automl.errors import ModelError, UsageError
from automl.training.models.pretrained_weights import arch
from automl.training.published.fetch import fetch_into_cache, fetch_into_folder
from automl.training.published.offers import Offer


def fetch_all(space: str, found: list[Offer], folder: str | None) -> int:
    """Fetch the allowed weights of a space into `folder`, or into the hub's cache, and return the exit code.

    The hub's client shows a progress bar for each file. Raises UsageError if the folder cannot be written.
    """
    wanted = [offer for offer in found if offer.allowed]
    if folder is not None:
        wanted = _of_each_architecture(wanted)
    if not wanted:
        say_wrapped(f"the space {space!r} has no published weights with an allowed licence")
        return 1
    refused = [offer for offer in found if not offer.allowed]
    missing = [offer for offer in wanted if offer.cached is None]
    lack = f"{len(missing)} {'is' if len(missing) == 1 else 'are'} not on this machine"
    size = format_size(sum(offer.size for offer in missing))
    say_wrapped(f"{counted(len(wanted), 'file')} for the space {space!r}; {lack} (about {size})")
    if refused:
        names = ", ".join(f"{offer.weights} ({offer.licence})" for offer in refused)
        say_wrapped(f"left out for their licence: {names}")
    failed = 0
    for place, offer in enumerate(wanted, 1):
        try:
            file = fetch_into_cache(offer) if folder is None else fetch_into_folder(offer, Path(folder))
        except ModelError as error:
            failed += 1
            complain(f"{place}/{len(wanted)} {error}")
        except OSError as error:
            raise UsageError(
                f"--to must be a folder that can be written, got {folder!r} ({error.strerror})"
            ) from error
        else:
            say_wrapped(f"{place}/{len(wanted)} {offer.weights}: {format_size(file.stat().st_size)}")
    if folder is not None and failed < len(wanted):
        say_wrapped(f"use them with: automl fit DATA --space {space} --pretrained {folder}")
    return 1 if failed else 0


def _of_each_architecture(offers: Iterable[Offer]) -> list[Offer]:
    """Return one of the weights for each architecture, because a folder of weights may hold no more."""
    kept: dict[str, Offer] = {}
    for offer in offers:
        kept.setdefault(arch(offer.model), offer)
    return list(kept.values())
