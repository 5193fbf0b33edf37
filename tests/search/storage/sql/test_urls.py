"""Database URLs: paths of any characters, and passwords."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from automl.errors import ConfigError, StorageError
from automl.search.storage.sql.database import open_database
from automl.search.storage.sql.urls import connected, masked, parse_url, sqlite_file, sqlite_url

NAMES = (
    "a?b=c",
    "a#b",
    "50%20x%41%",
    "u:pw@h",
    "q'\"q",
    "new\nline",
    "📷 é ",
    "{x}{0}{",
    "a;b&c|d",
    "***",
    "-dash",
)


@pytest.mark.parametrize("name", NAMES)
def test_database_lies_at_its_path_whatever_the_characters(tmp_path: Path, name: str) -> None:
    file = tmp_path / name / "study.db"
    file.parent.mkdir()
    url = sqlite_url(file)
    open_database(url).close()
    assert file.is_file()
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert sqlite_file(make_url(url)) == file
    with connected(url) as connection:
        assert connection.execute(text("SELECT count(*) FROM studies")).scalar() == 0
    assert masked(url) == f"sqlite:///{file}"


def test_plain_path_has_a_plain_url() -> None:
    assert sqlite_url(Path("/data/my studies/s/study.db")) == "sqlite:////data/my studies/s/study.db"
    assert sqlite_file(make_url("sqlite://")) is None
    assert sqlite_file(make_url("postgresql://db/a")) is None


def test_url_of_an_earlier_sqlalchemy_is_read(tmp_path: Path) -> None:
    file = tmp_path / "a b.db"
    url = f"sqlite:///file:{file.as_posix().replace(' ', '%2520')}?uri=true"
    assert sqlite_file(make_url(url)) == file


@pytest.mark.parametrize(
    ("url", "password", "host"),
    [
        ("postgresql://ann:a@b:c@db:5432/x", "a@b:c", "db"),
        ("postgresql://ann:a@b@db/x", "a@b", "db"),
        ("postgresql://ann:a%40b@db/x", "a@b", "db"),
        ("postgresql://db:5432/x?application_name=a", None, "db"),
    ],
)
def test_password_may_hold_what_nobody_escaped(url: str, password: str | None, host: str) -> None:
    parsed = parse_url(url)
    assert (parsed.password, parsed.host) == (password, host)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://ann:s3cretZ@127.0.0.1:1/db?connect_timeout=1",
        "postgresql://127.0.0.1:1/db?sslpassword=s3cretZ",
        "postgresql://127.0.0.1:1/db?nonsense=s3cretZ&password=s3cretZ",
        "postgresql://ann:a@b:s3cretZ@127.0.0.1:1/db",
        "postgresql://ann:s3cretZ@127.0.0.1:port/db",
        "postgresql://ann:[s3cretZ@127.0.0.1:1/db",
        "ann:s3cretZ@127.0.0.1/db",
        "oracle://ann:s3cretZ@127.0.0.1/db",
        pytest.param(
            "sqlite:////nofolder/x.db?password=s3cretZ",
            marks=pytest.mark.filterwarnings("ignore:Query string argument"),
        ),
    ],
)
def test_password_is_in_no_message(url: str) -> None:
    pytest.importorskip("psycopg")
    with pytest.raises((ConfigError, StorageError)) as caught:
        open_database(url)
    assert "s3cretZ" not in str(caught.value)
    assert "s3cretZ" not in masked(url)


def test_port_that_is_no_number_is_not_quoted() -> None:
    with pytest.raises(ArgumentError) as caught:
        parse_url("postgresql://db:s3cretZ/x")
    assert "s3cretZ" not in str(caught.value)


def test_path_that_is_too_long_for_sqlite_is_refused() -> None:
    with pytest.raises(ConfigError, match="at most 500 bytes.* choose a shorter --directory"):
        sqlite_url(Path("/") / ("é" * 248) / "study.db")
    assert sqlite_url(Path("/") / ("é" * 240) / "study.db")
