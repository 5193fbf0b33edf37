"""Names that are private to other packages: they are still there, and still mean what the code relies on.

A failure says what is lost and where to look. Mend the code, or find a public name, before the upper bound of that
package in pyproject.toml is raised.
"""

from __future__ import annotations

import copy
import inspect
import subprocess
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import optuna
import pytest
import sqlalchemy
from optuna.storages import InMemoryStorage, RDBStorage, get_storage
from optuna.trial import TrialState

from automl.search.storage.sql import optuna_tables as rows
from automl.search.storage.sql.dashboard_storage import BulkStorage
from automl.torch_setup import import_torchvision


def gone(name: str, *, lost: str, look: str) -> str:
    """The message of a failure."""
    return f"{name} is gone or means something else: {lost}. Mend {look}, then raise the bound in pyproject.toml."


TABLES = gone(
    "the layout of Optuna's tables",
    lost="trials cannot be written or deleted in bulk",
    look="automl/search/storage/sql/optuna_tables.py",
)


@pytest.fixture
def made_by_optuna(tmp_path: Path) -> Any:
    """What a database looks like in which Optuna made the tables."""
    return sqlalchemy.inspect(RDBStorage(f"sqlite:///{tmp_path / 'study.db'}").engine)


@pytest.mark.parametrize("table", rows.METADATA.sorted_tables, ids=lambda table: table.name)
def test_table_of_optuna_has_the_columns_that_are_written(
    table: sqlalchemy.Table, made_by_optuna: Any
) -> None:
    theirs = {column["name"]: column for column in made_by_optuna.get_columns(table.name)}
    assert set(table.columns.keys()) <= set(theirs), TABLES
    for column in table.columns:
        found = theirs[column.name]["type"]
        # As SQLite names them: an Enum is a text there.
        kind = sqlalchemy.String if isinstance(column.type, sqlalchemy.Enum) else type(column.type)
        assert isinstance(found, kind), TABLES
    needed = {name for name, column in theirs.items() if not column["nullable"] and column["default"] is None}
    deleted_only = {"study_directions": {"direction", "objective"}, "trial_heartbeats": {"heartbeat"}}
    assert needed <= set(table.columns.keys()) | deleted_only.get(table.name, set()), TABLES
    assert made_by_optuna.get_pk_constraint(table.name)["constrained_columns"] == [table.columns.keys()[0]], (
        TABLES
    )


def test_tables_of_optuna_that_belong_to_a_study_are_all_known(made_by_optuna: Any) -> None:
    of_a_study = {
        name
        for name in made_by_optuna.get_table_names()
        if {"study_id", "trial_id"} & {column["name"] for column in made_by_optuna.get_columns(name)}
    }
    assert of_a_study == set(rows.METADATA.tables), TABLES


@pytest.mark.parametrize(
    ("table", "column"),
    [(rows.TRIALS, "state"), (rows.VALUES, "value_type"), (rows.INTERMEDIATE, "intermediate_value_type")],
    ids=lambda value: getattr(value, "name", value),
)
def test_texts_in_optunas_tables_are_the_ones_that_are_written(table: sqlalchemy.Table, column: str) -> None:
    theirs = (
        import_module("optuna.storages._rdb.models").BaseModel.metadata.tables[table.name].columns[column]
    )
    kind = table.columns[column].type
    assert isinstance(kind, sqlalchemy.Enum) and isinstance(theirs.type, sqlalchemy.Enum)
    assert (kind.name, set(kind.enums)) == (theirs.type.name, set(theirs.type.enums)), TABLES


@pytest.mark.parametrize("value", [0.25, float("inf"), float("-inf"), float("nan")])
def test_value_that_optuna_stored_is_read_as_it_was_and_the_other_way_round(
    value: float, tmp_path: Path
) -> None:
    storage = RDBStorage(f"sqlite:///{tmp_path / 'study.db'}")
    study = optuna.create_study(storage=storage)
    study.ask().report(value, step=1)
    with storage.engine.begin() as connection:
        query = sqlalchemy.select(
            rows.INTERMEDIATE.c.intermediate_value, rows.INTERMEDIATE.c.intermediate_value_type
        )
        stored, kind = connection.execute(query).one()
        (trial,) = rows.trial_ids(connection, storage.get_study_id_from_name(study.study_name)).values()
        ours = rows.intermediate_row(0, 2, value)
        connection.execute(rows.NEW_INTERMEDIATE, {**ours, "trial_id": trial} | {rows.TRIAL: trial})
    assert repr(rows.number_of(stored, kind)) == repr(value), TABLES
    assert repr(study.trials[0].intermediate_values[2]) == repr(value), TABLES


def test_optunas_cache_reads_trials_through_the_method_that_the_dashboard_replaces(tmp_path: Path) -> None:
    lost = gone(
        "RDBStorage._get_trials",
        lost="the dashboard needs ten times as long for large studies",
        look="automl/search/storage/sql/dashboard_storage.py",
    )
    assert inspect.signature(BulkStorage._get_trials) == inspect.signature(RDBStorage._get_trials), lost
    url = f"sqlite:///{tmp_path / 'study.db'}"
    study = optuna.create_study(storage=url)
    study.add_trial(optuna.trial.create_trial(value=1.0))
    asked: list[int] = []

    class Watched(BulkStorage):
        def _get_trials(self, study_id: int, *args: Any, **kwargs: Any) -> Any:
            asked.append(study_id)
            return super()._get_trials(study_id, *args, **kwargs)

    cached = get_storage(Watched(url))
    shown = cached.get_all_trials(cached.get_study_id_from_name(study.study_name))
    assert [trial.value for trial in shown] == [1.0] and asked, lost


def test_optunas_storage_in_memory_can_be_copied_part_by_part() -> None:
    lost = gone(
        "InMemoryStorage._studies or _lock",
        lost="a draw ahead cannot have a copy of the study within a millisecond",
        look="SamplerView.snapshot in automl/search/sampling/study_view.py",
    )
    storage = InMemoryStorage()
    study = optuna.create_study(storage=storage)
    trial = study.ask()
    assert all(hasattr(storage, name) for name in ("_lock", "_studies")), lost
    assert "_lock" not in storage.__getstate__(), lost
    (info,) = storage._studies.values()
    assert isinstance(info.trials, list) and isinstance(info.param_distribution, dict), lost
    shared = copy.copy(info.trials)
    study.tell(trial, 1.0)
    # A trial is replaced, never changed: the copy keeps what it had.
    assert (shared[0].state, info.trials[0].state) == (TrialState.RUNNING, TrialState.COMPLETE), lost


def test_ray_names_that_read_the_token_again_are_there() -> None:
    raylet = import_module("ray._raylet")
    lost = gone(
        "ray._raylet.AuthenticationTokenLoader or Config",
        lost="a second Ray in one process may be refused by its own token",
        look="automl/search/engines/ray/auth_token.py",
    )
    assert callable(getattr(getattr(raylet, "Config", None), "initialize", None)), lost
    assert callable(getattr(getattr(raylet, "AuthenticationTokenLoader", None), "instance", None)), lost
    assert callable(getattr(raylet.AuthenticationTokenLoader.instance(), "reset_cache", None)), lost


def test_ray_starts_its_processes_by_the_class_that_is_replaced() -> None:
    services = import_module("ray._private.services")
    lost = gone(
        "ray._private.services.ConsolePopen",
        lost="Ctrl-C in a terminal ends Ray before the search has stopped in order",
        look="automl/search/engines/ray/signals.py",
    )
    assert issubclass(getattr(services, "ConsolePopen", type(None)), subprocess.Popen), lost
    assert "ConsolePopen(" in inspect.getsource(services.start_ray_process), lost


def test_ray_init_takes_the_folder_and_the_system_config() -> None:
    source = inspect.getsource(inspect.unwrap(import_module("ray").init))
    for name, lost in (
        ("_temp_dir", "sessions lie in /tmp/ray, open to everybody"),
        ("_system_config", "workers yield to every other process"),
    ):
        look = "RayRuntime._begin in automl/search/engines/ray/runtime.py"
        assert f'"{name}"' in source, gone(f"ray.init({name}=...)", lost=lost, look=look)


def test_tune_decides_by_one_attribute_whether_a_process_is_used_again() -> None:
    # What it comes to is tested with Ray: tests/search/engines/test_ray.py, by `spent`.
    controllers = import_module("ray.tune.execution.tune_controller")
    lost = gone(
        "TuneController._reuse_actors or TrialRunnerWrapper._tune_controller",
        lost="a process that ran out of memory runs further trials",
        look="_process_kept in automl/search/engines/ray/tune_bridge.py",
    )
    wrapped = object()
    assert vars(controllers.TrialRunnerWrapper(wrapped, None)).get("_tune_controller") is wrapped, lost
    source = inspect.getsource(controllers.TuneController)
    assert "self._reuse_actors = reuse_actors" in source and "if not self._reuse_actors" in source, lost


def test_tune_names_that_are_public_by_name_only_are_there() -> None:
    places: dict[str, tuple[str, ...]] = {
        "ray.tune.experiment": ("Trial",),
        "ray.tune.progress_reporter": ("TrialProgressCallback",),
        "ray.tune.schedulers": ("TrialScheduler",),
        "ray.tune.search": ("Searcher",),
    }
    for module, names in places.items():
        for name in names:
            look = "automl/search/engines/ray/tune_bridge.py"
            lost = gone(f"{module}.{name}", lost="the engine `ray` does not start", look=look)
            assert hasattr(import_module(module), name), lost
    trial: Callable[..., Any] = import_module("ray.tune.experiment").Trial
    needed = ("set_config", "get_pickled_error", "RUNNING", "PAUSED", "PENDING")
    assert all(hasattr(trial, name) for name in needed)


def test_hubs_client_continues_a_file_from_a_number_of_bytes() -> None:
    # What it comes to is tested with a hub: tests/training/published/test_fetch.py. hf_hub_download begins anew.
    lost = gone(
        "huggingface_hub.file_download.http_get",
        lost="`automl weights fetch --to` begins a large file anew after a stop",
        look="_download in automl/training/published/fetch.py",
    )
    known = inspect.signature(import_module("huggingface_hub.file_download").http_get).parameters
    assert {"url", "temp_file", "resume_size", "headers", "expected_size", "displayed_filename"} <= set(
        known
    ), lost


def test_rows_of_hugging_face_have_a_fingerprint_that_changes_with_them() -> None:
    datasets = pytest.importorskip("datasets")
    first = datasets.Dataset.from_dict({"label": [1, 2, 3]})
    lost = gone(
        "datasets.Dataset._fingerprint",
        lost="an old decoding may be used for rows that were changed in memory",
        look="automl/data/sources/huggingface.py",
    )
    assert getattr(first, "_fingerprint", ""), lost
    assert first._fingerprint != first.select([0, 1])._fingerprint, lost


@pytest.mark.parametrize("name", ["Flowers102", "Food101", "DTD", "OxfordIIITPet", "FGVCAircraft"])
def test_sets_of_torchvision_keep_their_labels_under_the_name_that_is_read(name: str) -> None:
    source = inspect.getsource(getattr(import_torchvision("datasets"), name))
    lost = gone(
        f"torchvision.datasets.{name}._labels",
        lost="every image is decoded once more to learn its label",
        look="automl/data/sources/torch_dataset.py",
    )
    assert "self._labels" in source, lost
