"""`automl spaces`: list the built-in search spaces, or print one."""

from __future__ import annotations

from typing import Any

import click

from automl.cli import completion
from automl.cli.options import SectionCommand, State, json_option, verbose_option


@click.command("spaces", cls=SectionCommand, short_help="List search spaces, or print one.")
@click.argument("name", required=False, shell_complete=completion.spaces)
@json_option("Print one JSON object.")
@verbose_option
@click.pass_obj
def command(state: State, /, name: str | None) -> None:
    """List the search spaces, or print one: its families, parameters and number of architectures.

    NAME is a name from the list, or a YAML file.
    """
    from automl.cli.output import print_json, print_table
    from automl.spaces import SearchSpace, capabilities, presets

    if name is None:
        entries = [_summary(preset, SearchSpace.load(preset)) for preset in presets()]
        if state.json:
            print_json({"spaces": entries})
        else:
            columns = ("space", "families", "architectures", "parameters", "description")
            print_table(columns, [tuple(str(value) for value in entry.values()) for entry in entries])
        return
    space = SearchSpace.load(name)
    allowed = _share_allowed(space)
    if state.json:
        published, cached = _weights(space)
        licences = {model: capabilities(model).licence for model in published}
        more: dict[str, Any] = {
            "weights": {
                "published": list(published),
                "cached": cached,
                "licences": licences,
                "tags": published,
            }
        }
        if allowed is not None:
            more["share_allowed"] = allowed
        print_json({**_summary(name, space), **more, "space": space.to_dict()})
    else:
        _print_space(name, space, allowed)


def _summary(name: str, space: Any) -> dict[str, Any]:
    return {
        "space": name,
        "families": len(space.families),
        "architectures": _architectures(space),
        "parameters": len(space.parameters),
        "description": space.description or "",
    }


def _architectures(space: Any) -> int:
    return sum(len(models) for models in space.families.values())


def _weights(space: Any) -> tuple[dict[str, str], list[str]]:
    """Return the weights that are published, by model with their tag, and the models whose weights are cached here.

    Of several published weights of a model these are those in the cache, or else timm's default ones.
    """
    from automl.spaces import capabilities
    from automl.training.models.weight_sources import in_caches

    models = [model for members in space.families.values() for model in members]
    published = {
        model: capabilities(model).weights and f"{model.partition('.')[0]}.{capabilities(model).weights}"
        for model in models
    }
    cached = {model: weights.model for model, weights in in_caches(m for m in models if published[m]).items()}
    return {model: cached.get(model, name) for model, name in published.items() if name}, list(cached)


def _print_space(name: str, space: Any, allowed: float | None) -> None:
    from automl.cli.output import print_table, say, say_wrapped
    from automl.spaces import capabilities

    say_wrapped(f"{name}: {space.description}" if space.description else name)
    if space.families:
        published, cached = _weights(space)
        say()
        say_wrapped(
            f"{_architectures(space)} architectures in {len(space.families)} families; weights are published for "
            f"{len(published)} and cached for {len(cached)} of them"
        )
        say()
        rows = [
            (
                _family(family, space),
                f"{sum(model in published for model in models)} of {len(models)}",
                ", ".join(sorted({capabilities(model).licence for model in models if model in published})),
                ", ".join(f"{published.get(model, model)}{'*' * (model in cached)}" for model in models),
            )
            for family, models in space.families.items()
        ]
        print_table(("family", "weights", "licence", "models"), rows)
        if cached:
            say("* weights are cached\n")
    print_table(
        ("parameter", "values", "when"), [tuple(str(cell) for cell in row) for row in _parameters(space)]
    )
    if allowed is not None:
        kept = f"about {allowed:.0%}" if allowed >= 0.01 else f"{allowed:.1%}" if allowed else "none"
        say(f"\nconstraints, met by {kept} of the configurations")
        for constraint in space.constraints:
            say_wrapped(f"  {constraint.text}", indent=4)


def _family(name: str, space: Any) -> str:
    return f"{name} (weight {space.weights[name]:g})" if name in space.weights else name


def _share_allowed(space: Any) -> float | None:
    """Return the share of configurations that meet the constraints, or None without constraints."""
    if not space.constraints:
        return None
    from automl.search.sampling.feasibility import share_allowed

    return share_allowed(space)


def _parameters(space: Any) -> list[tuple[str, str, str]]:
    return [tuple(row) for row in space.describe()]
