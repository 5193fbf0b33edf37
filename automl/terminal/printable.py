"""Text from outside, such as names of files and classes, in a form that cannot act on a terminal."""

from __future__ import annotations

import re

# Control characters (ESC begins commands to a terminal), line separators, marks that reverse the direction of text,
# characters that nobody sees (names that differ in one look the same), and the halves of surrogate pairs, which stand
# for bytes of a file name that are no text.
_ACTIVE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff"
    "\u00ad\u180e\u200b\u2060-\u2064\ufeff\ufff9-\ufffb]"
)
_ACTIVE_IN_LINES = re.compile(_ACTIVE.pattern.replace("\x00-\x1f", "\x00-\x09\x0b-\x1f"))
# Longer words are cut: no file is called so, and a terminal would show nothing else. A path may be longer.
_LONGEST_WORD, _LONGEST_PATH, _LONGEST_TEXT = 255, 4096, 5000
_KEPT = 100
_LONG_WORD = re.compile(rf"[^\s'\"(),;:]{{{_LONGEST_WORD + 1},}}")
_SHORT = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}


def printable(text: str) -> str:
    r"""Return the text on one line, with a backslash escape for each character that would act on a terminal.

    >>> printable("a\x1b[31m\nb")
    'a\\x1b[31m\\nb'
    """
    return text if text.isprintable() else _ACTIVE.sub(_escape, text)


def short(text: str) -> str:
    """Return a name, or its first 100 characters and their count if it has more than 255.

    >>> short("x" * 3000)[95:]
    'xxxxx… (3,000 characters)'
    """
    return text if len(text) <= _LONGEST_WORD else f"{text[:_KEPT]}… ({len(text):,} characters)"


def short_words(text: str) -> str:
    """Return a sentence with `short` names in it; paths may have 4096 characters, and all of it 5000."""
    if len(text) <= _LONGEST_WORD:
        return text
    text = _LONG_WORD.sub(_shortened, text)
    if len(text) <= _LONGEST_TEXT:
        return text
    return f"{text[:_LONGEST_TEXT]}… ({len(text):,} characters)"


def printable_lines(text: str) -> str:
    """Return the text as `printable` does, but keep its line ends."""
    return text if text.isprintable() else _ACTIVE_IN_LINES.sub(_escape, text)


def json_safe(document: str) -> str:
    """Return a JSON document with JSON's own escapes for what JSON allows raw but would act on a terminal."""
    if document.isascii():
        return document
    return _ACTIVE_IN_LINES.sub(lambda found: f"\\u{ord(found[0]):04x}", document)


def _shortened(found: re.Match[str]) -> str:
    word = found[0]
    return word if "/" in word and len(word) <= _LONGEST_PATH else short(word)


def _escape(found: re.Match[str]) -> str:
    character = found[0]
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # how Python reads a byte that is no text
        code -= 0xDC00
    return _SHORT.get(character) or (f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}")
