"""Build a StudyConfig from data or study.yaml and options, and write it back to study.yaml."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import yaml

from automl.config.durations import format_duration, format_latency, parse_duration, parse_latency
from automl.config.names import BUILT_IN, REMOTE
from automl.config.sizes import format_count, format_size, parse_count, parse_size
from automl.config.storage import ENVIRONMENT, unmask
from automl.config.study import StudyConfig
from automl.documents.yaml_file import read_yaml
from automl.errors import ConfigError
from automl.machine import expanded, path_problem
from automl.remote import is_remote
from automl.terminal.masking import mask_password

_SUFFIXES = (".yaml", ".yml")


def load(data: Any, /, **options: Any) -> StudyConfig:
    """Return the configuration of a study from its data or study.yaml; `options` override the file.

    `data` that ends in .yaml or .yml is a study file, whose keys are the fields of StudyConfig. A relative `data`
    in it is searched in the current folder, in the file's own folder, and in the folder that holds
    studies/NAME/study.yaml. A masked storage password comes from AUTOML_STORAGE.
    Raises ConfigError naming every problem at once.
    """
    if not _is_study_file(data):
        return StudyConfig(data=data, **options)
    path = Path(data)
    values = {**read_study_file(path), **options}
    if values.get("data") is None:
        raise ConfigError(
            f"data must be given, but {str(path)!r} names none; add a line `data: PATH`, "
            f"or continue in Python if the data were passed in memory"
        )
    if isinstance(values.get("data"), str):
        values["data"] = _find_data(values["data"], path)
    if isinstance(values.get("space"), dict):
        values["space"] = _with_its_files(values["space"], path)
    if isinstance(values.get("storage"), str):
        values["storage"] = unmask(values["storage"])
    return StudyConfig(**values)


def read_study_file(path: Path) -> dict[str, Any]:
    """Return the keys and values of a study file, unchecked. Raises ConfigError if it is no mapping."""
    try:
        values = read_yaml(path, unique_keys=True)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise ConfigError(f"a study file must be readable, got {str(path)!r} ({reason})") from error
    except ValueError as error:
        raise ConfigError(f"a study file must be valid YAML, got {str(path)!r} ({error})") from error
    if not isinstance(values, dict) or not all(isinstance(key, str) for key in values):
        raise ConfigError(f"a study file must hold lines of the form 'option: value', got {str(path)!r}")
    return values


def save(config: StudyConfig, path: Path) -> None:
    """Write the resolved configuration to study.yaml, so that `automl fit PATH` repeats the study.

    The password of a storage URL is masked (AUTOML_STORAGE or --storage supplies it), and data in memory are
    left out. The file is written under another name first, so that a crash leaves no half-written file.
    """
    # `overwrite` is left out: repeating or resuming the study must not delete it.
    values = {name: getattr(config, name) for name in type(config).model_fields if name != "overwrite"}
    lines = ["# The resolved configuration of this study; `automl fit` with this file repeats it."]
    if not isinstance(config.data, str):
        del values["data"]
        lines.append("# The data were passed in memory and are not part of this file.")
    values["directory"] = mask_password(config.directory) if is_remote(config.directory) else config.directory
    values["time_limit"] = _readable(config.time_limit, format_duration, parse_duration)
    values["max_disk"] = _readable(config.max_disk, format_size, parse_size)
    values["memory_limit"] = _readable(config.memory_limit, format_size, parse_size)
    values["max_latency"] = _readable(config.max_latency, format_latency, parse_latency)
    values["max_size"] = _readable(config.max_size, format_size, parse_size)
    values["max_params"] = _readable(config.max_params, format_count, parse_count)
    if config.storage is not None:
        values["storage"] = mask_password(config.storage)
        if values["storage"] != config.storage:
            lines.append(f"# The storage password is masked: {ENVIRONMENT} or --storage supplies it.")
    body = yaml.safe_dump(values, sort_keys=False, allow_unicode=True, default_flow_style=False)
    draft = path.with_name(path.name + ".part")
    draft.write_text("\n".join(lines) + "\n" + body, encoding="utf-8")
    draft.replace(path)


def _is_study_file(data: Any) -> bool:
    return isinstance(data, str | os.PathLike) and Path(data).suffix.lower() in _SUFFIXES


def _find_data(data: str, study_file: Path) -> str:
    path = expanded(data)
    if path_problem(path):
        return data  # which is refused with the other problems
    if data in BUILT_IN or data.startswith(REMOTE) or path.is_absolute() or path.exists():
        return data
    folder = study_file.resolve().parent
    # Not in `directory` itself: the study of photos/ is called photos too.
    for base in (folder, *folder.parents[1:2]):
        if (base / path).exists():
            return str(base / path)
    return data


def _with_its_files(space: dict[str, Any], study_file: Path) -> dict[str, Any]:
    """Resolve the includes of a space in a study file from that file's folder, wherever the study continues."""
    given = space.get("include")
    names = [name for name in (given if isinstance(given, list) else [given]) if isinstance(name, str)]
    if not names or len(names) < (len(given) if isinstance(given, list) else 1):
        return space  # nothing to resolve, or an error that parsing the space reports
    folder = study_file.resolve().parent
    found = [str(folder / name) if name.lower().endswith(_SUFFIXES) else name for name in names]
    return {**space, "include": found}


def _readable(value: Any, write: Any, read: Any) -> Any:
    """Return the value as text if reading that gives the same value back, else the number."""
    if value is None:
        return None
    text = write(value)
    return text if read(text) == value else value
