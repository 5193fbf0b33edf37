"""Passwords in URLs are shown nowhere."""

from __future__ import annotations

import pytest

from automl.errors import StudyError
from automl.terminal import masking
from automl.terminal.masking import mask_password, mask_passwords, remember_passwords


@pytest.fixture(autouse=True)
def _forget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(masking, "_known", set())


@pytest.mark.parametrize(
    ("url", "masked"),
    [
        ("postgresql://ann:secret@db/automl", "postgresql://ann:***@db/automl"),
        ("postgresql+psycopg://ann:s/e:c@r@db:5432/a", "postgresql+psycopg://ann:***@db:5432/a"),
        ("mysql://:secret@db/a", "mysql://:***@db/a"),
        ("postgresql://db/a?user=ann&password=secret&x=1", "postgresql://db/a?user=ann&password=***&x=1"),
        ("postgresql://db/a?sslpassword=secret", "postgresql://db/a?sslpassword=***"),
        ("mysql://db/a?passwd=secret&ssl_key_password=other", "mysql://db/a?passwd=***&ssl_key_password=***"),
        ("mysql://db/a?x=secret&passwd=secret", "mysql://db/a?x=***&passwd=***"),
        ("ftp://ann:secret@host/studies", "ftp://ann:***@host/studies"),
        ("postgresql://ann@db/a", "postgresql://ann@db/a"),
        ("postgresql://db/a?sslmode=require", "postgresql://db/a?sslmode=require"),
        ("sqlite:///a/study.db", "sqlite:///a/study.db"),
        ("sqlite:////tmp/u:pw@h/study.db", "sqlite:////tmp/u:pw@h/study.db"),
    ],
)
def test_passwords_of_a_url_are_masked(url: str, masked: str) -> None:
    assert mask_password(url) == masked
    assert mask_password(masked) == masked


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://ann:s3cretZ@db/a",
        "postgresql://ann:x s3cretZ@db/a",
        "postgresql://ann:x%20s3cretZ@db/a",
        "postgresql://db/a?sslpassword=s3cretZ",
        "postgresql://ann:a@b:s3cretZ@db/a",
    ],
)
def test_password_that_is_known_is_masked_in_any_text(url: str) -> None:
    remember_passwords(url)
    for text in (f"cannot reach {url!r}", f"a tuple {[url]}", f"connecting with {url} failed: {url}"):
        assert "s3cretZ" not in mask_passwords(text)
    if "sslpassword" not in url and "@b:" not in url:
        word = url.partition("//ann:")[2].partition("@db")[0]
        assert mask_passwords(f"invalid word {word}") == "invalid word ***"


def test_short_password_does_not_mask_parts_of_words() -> None:
    remember_passwords("postgresql://ann:a@db/a")
    assert mask_passwords("a study at postgresql://ann:a@db/a") == "a study at postgresql://ann:***@db/a"


def test_message_of_an_error_holds_no_password() -> None:
    assert str(StudyError("no study at 'ftp://ann:secret@host/a'")) == "no study at 'ftp://ann:***@host/a'"


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("could not reach 'ann:s3cretZ@head:6379'", "could not reach 'ann:***@head:6379'"),
        ("no address: ann:a@b:s3cretZ@head", "no address: ann:***@head"),
        ("given: --address=:s3cretZ@[::1]:6379", "given: --address=:***@[::1]:6379"),
        ("(ann%40b:s3cretZ@10.0.0.1)", "(ann%40b:***@10.0.0.1)"),
        ("mail ann@host at 12:30, or see /tmp/u:pw@h/a", "mail ann@host at 12:30, or see /tmp/u:pw@h/a"),
        ("the study of ann@host:/home/ann", "the study of ann@host:/home/ann"),
        ("sqlite:////tmp/u:pw@h/study.db", "sqlite:////tmp/u:pw@h/study.db"),
    ],
)
def test_password_is_masked_without_a_scheme_too(text: str, masked: str) -> None:
    assert mask_passwords(text) == masked
    assert mask_passwords(masked) == masked


def test_password_without_a_scheme_is_remembered() -> None:
    remember_passwords("ann:s3cret/Z@head:6379")
    assert mask_passwords("not a number: 's3cret%2FZ'") == "not a number: '***'"
