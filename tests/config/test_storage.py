"""Storage URLs and their passwords."""

from __future__ import annotations

import pytest

from automl.config.storage import check_storage, unmask
from automl.errors import ConfigError


def test_text_without_scheme_is_refused_without_its_password() -> None:
    with pytest.raises(ValueError, match="must be a database URL") as caught:
        check_storage("db/automl?password=secret")
    assert "secret" not in str(caught.value)


def test_other_database_is_refused_with_the_closest_match() -> None:
    with pytest.raises(ValueError, match=r"unknown kind of storage 'postgres': did you mean 'postgresql'\?"):
        check_storage("postgres://ann:secret@db/a")
    assert check_storage("postgresql+psycopg://ann@db/a") == "postgresql+psycopg://ann@db/a"


def test_masked_url_is_made_whole_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTOML_STORAGE", "postgresql://ann:secret@db/a")
    assert unmask("postgresql://ann:***@db/a") == "postgresql://ann:secret@db/a"
    assert unmask("postgresql://db/a?password=***") == "postgresql://ann:secret@db/a"


def test_whole_url_does_not_look_at_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTOML_STORAGE", "sqlite:///other.db")
    assert unmask("sqlite:///study.db") == "sqlite:///study.db"


def test_masked_url_without_environment_says_what_to_set() -> None:
    with pytest.raises(ConfigError, match=r"must be given again.*AUTOML_STORAGE or pass --storage"):
        unmask("postgresql://ann:***@db/a")


def test_scheme_in_large_letters_is_that_in_small_ones() -> None:
    assert (
        check_storage("POSTGRESQL+Psycopg://U:Secret@Host/Name") == "postgresql+psycopg://U:Secret@Host/Name"
    )


@pytest.mark.parametrize(
    "url",
    [
        "sqlite://",
        "sqlite:///",
        "sqlite:///:memory:",
        "SQLite+pysqlite:///%3Amemory%3A",
        "sqlite:///file::memory:?uri=true",
        "sqlite:///file:name?mode=memory&uri=true",
    ],
)
def test_database_in_memory_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="must name a file.*a database in memory would be lost"):
        check_storage(url)


def test_option_that_makes_a_file_of_another_name_is_refused() -> None:
    with pytest.raises(ValueError, match="must begin with sqlite:///file: where it has the option uri"):
        check_storage("sqlite:///study.db?mode=ro&uri=true")
    for url in (
        "sqlite:///file:a%3Fb.db?uri=true",
        "sqlite:////tmp/study.db?timeout=5",
        "sqlite:///study.db",
    ):
        assert check_storage(url) == url
