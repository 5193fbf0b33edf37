"""Find and read the files of search spaces, and merge what they include."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from automl.documents.yaml_file import read_yaml
from automl.errors import SpaceError, unknown_name
from automl.machine import expanded, path_problem
from automl.spaces.parsing.left_out import without_left_out

INCLUDE = "include"
# For these keys, single entries are merged; the others are replaced as a whole.
_BY_ENTRY = ("families", "parameters")
_WEIGHT = "weight"
_SUFFIXES = (".yaml", ".yml")


@dataclass
class Merged:
    """A space as one mapping, with everything that it includes.

    `inherited` are the keys that come only from included files, `removed` the parameters that were removed by null.
    """

    spec: dict[str, Any]
    inherited: frozenset[str] = frozenset()
    removed: frozenset[str] = frozenset()
    problems: list[str] = field(default_factory=list)


def presets() -> list[str]:
    """Return the sorted names of the search spaces that come with automl. Files that begin with _ are only included."""
    return sorted(path.stem for path in _preset_folder().glob("[!_]*.yaml"))


def find_space(name_or_file: str | Path, folder: Path | None = None) -> Path:
    """Return the file of a preset, or a path relative to `folder`. Raises SpaceError for an unknown preset."""
    path = Path(name_or_file)
    if path.suffix.lower() in _SUFFIXES:
        return path if folder is None else folder / expanded(path)
    preset = _preset_folder() / f"{name_or_file}.yaml"
    if problem := path_problem(preset):
        raise SpaceError(problem)
    if path.name != str(name_or_file) or not preset.is_file():
        raise SpaceError(unknown_name("search space", str(name_or_file), presets()))
    return preset


def read_space(path: Path) -> Any:
    """Return the content of a YAML file. Raises SpaceError if it cannot be read."""
    try:
        return read_yaml(path)
    except (OSError, UnicodeDecodeError) as error:
        raise SpaceError(
            f"the search space must be a readable file, but {str(path)!r} is not ({error})"
        ) from error
    except ValueError as error:
        raise SpaceError(f"the search space {str(path)!r} must be valid YAML: {error}") from error


def merged(spec: Mapping[str, Any], folder: Path, path: Path | None = None) -> Merged:
    """Merge `spec` with the presets and YAML files, relative to `folder`, that it includes.

    Later files override earlier ones, and `spec` overrides all; `path` is its own file, if it has one. Single
    parameters and families are merged, and null removes one. A parameter with a `type` replaces the included one;
    without a type it changes single keys. A family that is only {weight: 2} keeps its models. Included conditions and
    constraints may name families and models that are left out. Circles, missing files and nulls for unknown names are
    in `problems`.
    """
    return _merge(spec, folder, () if path is None else (path.resolve(),))


def _merge(spec: Mapping[str, Any], folder: Path, open_files: tuple[Path, ...]) -> Merged:
    if INCLUDE not in spec:
        return Merged(dict(spec))
    base = Merged({})
    for name in _names(spec[INCLUDE], base.problems):
        try:
            included = _included(name, folder, open_files)
        except SpaceError as error:
            base.problems.append(f"{INCLUDE}: {error}")
            continue
        base.problems.extend(included.problems)
        base.removed |= included.removed
        base.spec = _over(base.spec, included.spec, base)
    own = {key: value for key, value in spec.items() if key != INCLUDE}
    base.inherited = frozenset(base.spec.keys() - own.keys())
    written = own.get("parameters")
    fitting = without_left_out(
        base.spec,
        _over(base.spec, own, Merged({})).get("families"),
        written=written if isinstance(written, Mapping) else (),
    )
    base.spec = _over(fitting, own, base)
    return base


def _names(names: Any, problems: list[str]) -> list[str]:
    listed = names if isinstance(names, list | tuple) else [names]
    if not listed or not all(isinstance(name, str) and name for name in listed):
        problems.append(f"{INCLUDE}: must be a preset, a YAML file or a list of them, not {names!r}")
        return []
    return list(listed)


def _included(name: str, folder: Path, open_files: tuple[Path, ...]) -> Merged:
    path = find_space(name, folder)
    place = path.resolve()
    if place in open_files:
        circle = " -> ".join(each.name for each in (*open_files[open_files.index(place) :], place))
        raise SpaceError(
            f"files must not include each other in a circle, but {circle} do: remove one include"
        )
    spec = read_space(path)
    if not isinstance(spec, Mapping):
        raise SpaceError(f"the file {str(path)!r} must hold a mapping, not {type(spec).__name__}")
    return _merge(spec, place.parent, (*open_files, place))


def _over(base: Mapping[str, Any], own: Mapping[str, Any], into: Merged) -> dict[str, Any]:
    """Return `base` overridden by `own`, in the order of `base`; record problems and removals in `into`."""
    found = deepcopy(dict(base))
    for key, value in own.items():
        if value is None and key in found:
            del found[key]
        elif key in _BY_ENTRY and isinstance(value, Mapping) and isinstance(found.get(key, {}), Mapping):
            found[key] = _entries(key, found.get(key, {}), value, into)
        else:
            found[key] = value
    return found


def _entries(key: str, base: Mapping[str, Any], own: Mapping[str, Any], into: Merged) -> dict[str, Any]:
    found = dict(base)
    for name, value in own.items():
        if value is not None:
            found[name] = _entry(key, found.get(name), value)
        elif name in found:
            del found[name]
            if key == "parameters":
                into.removed |= {str(name)}
        else:
            into.problems.append(
                f"{key}.{name}: null removes an included entry, but none of this name is included"
            )
    return found


def _entry(key: str, base: Any, own: Any) -> Any:
    """Override an included parameter or family by one without type or models."""
    if not isinstance(own, Mapping) or base is None:
        return own
    if key == "families":
        models = base["models"] if isinstance(base, Mapping) and "models" in base else base
        return {"models": models, **own} if own.keys() == {_WEIGHT} else own
    if "type" in own or not isinstance(base, Mapping):
        return own
    changed = {**base, **own}
    return {name: value for name, value in changed.items() if value is not None}


def _preset_folder() -> Path:
    """Return the folder inside of the installed package, or beside the package in a checkout."""
    here = Path(__file__).resolve()
    installed = here.parents[2] / "search_spaces"
    return installed if installed.is_dir() else here.parents[3] / "search_spaces"
