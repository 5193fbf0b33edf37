"""A whole study under Ray whose database is a PostgreSQL server, and the commands that read it."""

from __future__ import annotations

import json
import threading
import urllib.request
from pathlib import Path

import pytest
from optuna.storages import RDBStorage

from automl.cli import main
from automl.cli.commands.dashboard import _application, _storage_url
from automl.cli.dashboard_server import listen
from automl.search.storage.sql import database
from automl.search.storage.sql.database import open_optuna
from tests.postgres_server import Server

pytestmark = [pytest.mark.postgres, pytest.mark.ray]

SECRETS = ("s3cret", "p@ss", "p%40ss")
QUICK = (
    "digits",
    "--study",
    "far",
    "--space",
    "smoke",
    "--epochs",
    "1",
    "--img-size",
    "8",
    "--pretrained",
    "never",
)


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_study_in_postgres_is_read_by_all_commands_and_its_password_is_nowhere(
    postgres: Server, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("optuna_dashboard")
    url, place = postgres.create_database("fits"), ("--directory", str(tmp_path))
    assert main(["fit", *QUICK, *place, "--n-trials", "2", "--storage", url, "--json", "--verbose"]) == 0
    out, err = capfd.readouterr()
    assert out.startswith("{"), out[:500]
    assert json.loads(out)["trials"]["total"] == 2
    written = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert not [path for path, text in written.items() if any(s.encode() in text for s in SECRETS)]
    assert not any(secret in out + err for secret in SECRETS)
    assert "automl:***@" in (tmp_path / "far" / "study.yaml").read_text(encoding="utf-8")
    assert not (tmp_path / "far" / "study.db").exists()

    (tmp_path / "far" / "trials.csv").unlink()  # from the database, as while the study runs
    assert main(["leaderboard", "far", *place]) == 2
    assert "AUTOML_STORAGE" in capfd.readouterr().err
    monkeypatch.setenv("AUTOML_STORAGE", url)
    assert main(["leaderboard", "far", *place, "--json"]) == 0
    assert len(json.loads(capfd.readouterr().out)["trials"]) == 2
    assert main(["show", "far", *place]) == 0
    capfd.readouterr()
    assert main(["resume", "far", *place, "--n-trials", "3", "--json", "--quiet"]) == 0
    assert json.loads(capfd.readouterr().out)["trials"]["total"] == 3

    opened: list[RDBStorage] = []

    def kept(whole: str, kind: type[RDBStorage] = RDBStorage) -> RDBStorage:
        opened.append(open_optuna(whole, kind))
        return opened[-1]

    monkeypatch.setattr(
        database, "open_optuna", kept
    )  # the command ends with its process, this test does not
    with listen(_application(_storage_url("far", str(tmp_path), None)[0]), "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            with urllib.request.urlopen(
                f"http://127.0.0.1:{server.server_port}/api/studies", timeout=10
            ) as answer:
                assert [study["study_name"] for study in json.load(answer)["study_summaries"]] == ["far"]
        finally:
            server.shutdown()
            thread.join()
            opened[0].engine.dispose()

    again = ["fit", *QUICK, *place, "--n-trials", "1", "--storage", url, "--overwrite", "--engine", "local"]
    assert main([*again, "--seed", "5", "--json", "--quiet"]) == 0
    assert json.loads(capfd.readouterr().out)["trials"]["total"] == 1
