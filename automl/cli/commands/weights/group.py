"""`automl weights`: list published weights, or fetch them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from automl.cli.options import HELP, SectionCommand, State, json_option, option, verbose_option

if TYPE_CHECKING:
    from automl.training.published.offers import Offer

_space = option("--space", metavar="NAME|FILE", standard="auto", help="Search space; see `automl spaces`.")
_licence = option(
    "--weights-licence",
    metavar="NAMES",
    standard="permissive",
    help="Licences that are allowed: permissive (Apache, MIT, BSD, CC0, CC-BY), any, or names a,b.",
)


@click.group("weights", context_settings=HELP, short_help="List or fetch pretrained weights.")
def command() -> None:
    """List the pretrained weights that a search space would load, or fetch them."""


@command.command("list", cls=SectionCommand, short_help="List the weights that a space would load.")
@_space
@_licence
@json_option("Print one JSON object.")
@verbose_option
@click.pass_obj
def list_weights(state: State, /, space: str | None, weights_licence: str | None) -> None:
    """List the weights that a study would load: name with tag, size, licence, and where they are.

    Sizes with `~` are estimates from the number of parameters. Nothing is downloaded.
    """
    from automl.cli.output import print_json, print_table, say, say_wrapped

    name, without, found = _found(space, weights_licence)
    if state.json:
        rows = [offer.to_dict() for offer in found]
        print_json({"space": name, "weights": rows, "without": without})
        return
    if not found:
        say(f"no weights are published for the models of the space {name!r}")
        return
    print_table(("model", "weights", "size", "licence", "state"), [_row(offer) for offer in found])
    if without:
        say()
        say_wrapped(f"no weights are published for {', '.join(without)}")


@command.command("fetch", cls=SectionCommand, short_help="Download weights for later use.")
@_space
@_licence
@option("--to", "folder", metavar="DIR", standard="the hub's cache", help="Folder for `--pretrained DIR`.")
@verbose_option
@click.pass_obj
def fetch_weights(_: State, /, space: str | None, weights_licence: str | None, folder: str | None) -> int:
    """Download the weights that a study would load, and check them. What is there already is kept.

    With --to they go into a folder for a machine without a network: use it as `--pretrained DIR`. The exit code is 1 if
    some could not be fetched; the same command again goes on with them.
    """
    from automl.cli.commands.weights.progress import fetch_all

    name, _without, found = _found(space, weights_licence)
    return fetch_all(name, found, folder)


def _found(space: str | None, licences: str | None) -> tuple[str, list[str], list[Offer]]:
    """Return the space's name, its models without published weights, and the weights of the others."""
    from automl.config.checks import check_weights_licence
    from automl.errors import ConfigError
    from automl.spaces import SearchSpace
    from automl.training.published.offers import offers

    try:
        allowed = check_weights_licence(licences or "permissive")
    except ValueError as error:
        raise ConfigError(f"weights_licence {error}") from error
    name = _space_for_this_machine() if space is None or space == "auto" else space
    loaded = SearchSpace.load(name)
    models = [model for members in loaded.families.values() for model in members]
    found = offers(models, allowed)
    known = {offer.model for offer in found}
    return name, [model for model in models if model not in known], found


def _space_for_this_machine() -> str:
    """Return the space that `fit` takes for photos."""
    import torch

    return "default" if torch.cuda.is_available() else "cpu"


def _row(offer: Offer) -> tuple[str, ...]:
    from automl.config.sizes import format_size

    size = format_size(offer.size)
    state = "cached" if offer.cached is not None else "not on this machine"
    if not offer.allowed:
        state = "left out: licence not allowed"
    return offer.model, offer.weights, size if offer.cached else f"~{size}", offer.licence, state
