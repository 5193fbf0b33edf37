"""Text from outside cannot act on a terminal."""

from __future__ import annotations

import json

import pytest

from automl.terminal.printable import json_safe, printable, printable_lines, short, short_words


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain ü 猫 📷", "plain ü 猫 📷"),
        ("a\x1b[31mred\x1b]0;title\x07", r"a\x1b[31mred\x1b]0;title\x07"),
        ("two\nlines\r\tend", r"two\nlines\r\tend"),
        ("\x9b2J and \x7f", r"\x9b2J and \x7f"),
        ("\u202egpj.exe \u2028 \u2066x", r"\u202egpj.exe \u2028 \u2066x"),
        ("\udcff\ud800", r"\xff\ud800"),
        ("cat\u200b \ufeffdog sh\u00ady \u2060", r"cat\u200b \ufeffdog sh\xady \u2060"),
        ("👩\u200d🔬 می\u200cخواهم", "👩\u200d🔬 می\u200cخواهم"),  # joiners belong to the text
        (r"C:\new", r"C:\new"),
    ],
)
def test_control_characters_are_escaped_and_nothing_else(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_lines_are_kept_only_where_asked() -> None:
    assert printable_lines("a\nb\x1bc") == "a\nb\\x1bc"
    assert printable("a\nb") == r"a\nb"


def test_json_stays_json_and_holds_no_control_characters() -> None:
    value = {"name": "\x1b[31m \x9b \u202e \udcff ü \n"}
    document = json_safe(json.dumps(value, ensure_ascii=False, indent=1))
    assert json.loads(document) == value
    assert "ü" in document
    assert printable_lines(document) == document


def test_long_names_are_cut_with_their_count() -> None:
    assert short("x" * 255) == "x" * 255
    assert short("x y" * 1_000_000) == ("x y" * 34)[:100] + "… (3,000,000 characters)"


def test_long_words_in_a_sentence_are_cut_and_paths_kept() -> None:
    path = "/folder" * 500
    assert short_words(f"the model in {path!r} is whole") == f"the model in {path!r} is whole"
    assert (
        short_words(f"a/{'n' * 60_000}.png: empty file") == f"a/{'n' * 98}… (60,006 characters): empty file"
    )
    assert len(short_words("many words " * 100_000)) < 5100
