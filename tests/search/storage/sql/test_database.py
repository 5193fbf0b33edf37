"""Whether a database can be reached."""

from __future__ import annotations

import sqlite3
from importlib.util import find_spec
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from automl.errors import ConfigError, StorageError
from automl.search.storage.sql.database import open_database, require_reachable, storage_errors

DEAD = "postgresql://ann:hidden@127.0.0.1:1/study"


def test_database_that_is_there_or_can_be_made_is_reachable_and_not_made(tmp_path: Path) -> None:
    file = tmp_path / "study.db"
    require_reachable(f"sqlite:///{file}")
    assert not file.exists()
    open_database(f"SQLITE:///{file}").close()
    require_reachable(f"SQLite:///{file}")
    assert file.exists()


def test_dead_database_is_refused_without_its_password() -> None:
    pytest.importorskip("psycopg")
    with pytest.raises(StorageError, match="127.0.0.1:1/study cannot be read or written") as caught:
        require_reachable(DEAD)
    assert "hidden" not in str(caught.value)


def test_sqlite_without_a_folder_and_what_is_no_database_are_refused(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot be created: there is no folder"):
        require_reachable(f"sqlite:///{tmp_path}/none/study.db")
    (tmp_path / "text.db").write_text("no database " * 100, encoding="utf-8")
    with pytest.raises(StorageError, match="cannot be read or written: file is not a database"):
        require_reachable(f"sqlite:///{tmp_path}/text.db")
    with pytest.raises(ConfigError, match="storage must be a database URL"):
        require_reachable("no url")


@pytest.mark.parametrize(
    ("options", "reason"),
    [("charset=nonsense", "AttributeError"), ("nonsense=1", "TypeError"), ("ssl_ca=no_certificate", "Error")],
)
def test_what_a_driver_says_of_the_options_of_a_url_is_one_sentence(options: str, reason: str) -> None:
    pytest.importorskip("pymysql")
    url = f"mysql://ann:hidden@127.0.0.1:1/study?{options}"
    for reach in (require_reachable, open_database):
        with pytest.raises(
            StorageError, match=f"cannot be opened .{reason}|cannot be opened .*{reason}"
        ) as caught:
            reach(url)
        assert "hidden" not in str(caught.value)


def test_driver_that_automl_does_not_install_is_left_out_of_the_url(tmp_path: Path) -> None:
    file = f"sqlite+aiosqlite:///{tmp_path}/a.db"
    for url, driver in ((file, "aiosqlite"), (DEAD.replace("://", "+asyncpg://"), "asyncpg")):
        if find_spec(driver) is None:
            with pytest.raises(ConfigError, match=rf"leave '\+{driver}' out of the URL"):
                open_database(url)


def test_file_that_may_not_grow_is_told_with_its_limit(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    before, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (40 * 1024, most))
    try:
        with pytest.raises(StorageError, match=r"files may have 40K at most here, .* \(`ulimit -f`\)$"):
            open_database(f"sqlite:///{tmp_path}/study.db").close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (before, most))


@pytest.mark.parametrize(
    ("code", "advice"),
    [("SQLITE_FULL", "free some space"), ("SQLITE_IOERR_READ", "check the disk or the network")],
)
def test_error_of_the_disk_says_what_to_do(code: str, advice: str) -> None:
    error = sqlite3.OperationalError("no more")
    error.sqlite_errorname = code
    with (
        pytest.raises(StorageError, match=f"cannot be read or written: no more; {advice}"),
        storage_errors("x"),
    ):
        raise OperationalError("SELECT 1", {}, error)
