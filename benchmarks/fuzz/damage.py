"""Ways to damage the bytes of a valid file. Each draws from a generator, so a case can be made again."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from random import Random
from typing import Any

Damage = Callable[[bytes, Random], bytes]

LENGTHS = (0, 1, 2, 127, 128, 255, 256, 32767, 65535, 65536, 2**24, 2**31 - 1, 2**31, 2**32 - 1)
LONG_LENGTHS = (2**32, 2**40, 2**53, 2**63 - 1, 2**63, 2**64 - 1)
_NUMBERS = (
    "0",
    "-1",
    "1e400",
    "-1e308",
    "NaN",
    "Infinity",
    "9" * 400,
    "9" * 5000,
    "1" + "0" * 30,
    "0x10",
    "1_0",
    "",
)
_VALUES: tuple[Any, ...] = (
    *(None, True, -1, 0, 1, 3, 2.5, 10**6, 2**31, 2**63, 10**30, -(10**12), float("inf"), float("nan")),
    *(
        "",
        "x",
        "../../etc/passwd",
        "/dev/zero",
        "\0",
        "\x1b[31m",
        "a\nb",
        "%s",
        "x" * 5000,
        [],
        {},
        [1],
        {"a": 1},
    ),
)
# Encodings of texts, and what XML may declare as its own.
_CODECS = (
    "utf-8",
    "utf-16",
    "cp949",
    "gb18030",
    "cp1250",
    "cp1251",
    "cp932",
    "big5",
    "euc_jp",
    "koi8-r",
    "cp1256",
)
_DECLARED = (
    *(
        "utf-16",
        "utf-32",
        "utf-7",
        "gbk",
        "gb2312",
        "big5",
        "shift_jis",
        "euc-kr",
        "iso-2022-jp",
        "johab",
        "hz",
    ),
    *(
        "ANSI",
        "cp037",
        "idna",
        "punycode",
        "undefined",
        "unicode_escape",
        "hex",
        "zlib",
        "rot13",
        "",
        "x" * 40,
    ),
)
_DOCTYPES = (
    '<!DOCTYPE a SYSTEM "/etc/passwd">',
    '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]>',
    "<!DOCTYPE a [<!ENTITY a0 'x'>"
    + "".join(f"<!ENTITY a{k} '{f'&a{k - 1};' * 10}'>" for k in range(1, 12))
    + "<!ENTITY b '&a11;'>]>",
)
_NUMBER = re.compile(rb"-?\d+(\.\d+)?")
_WORD = re.compile(rb"[A-Za-z_]\w*")


def flipped(data: bytes, rng: Random) -> bytes:
    """Flip some bits."""
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4, 16, 64))):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def cut(data: bytes, rng: Random) -> bytes:
    """Leave out the end, the beginning or a part."""
    first, last = sorted((rng.randrange(len(data) + 1), rng.randrange(len(data) + 1)))
    return rng.choice((data[:first], data[last:], data[:first] + data[last:]))


def spliced(data: bytes, rng: Random) -> bytes:
    """Copy a part to another place, over what is there or between."""
    first, last = sorted((rng.randrange(len(data) + 1), rng.randrange(len(data) + 1)))
    part, at = data[first : min(last, first + 4096)] * rng.choice((1, 1, 2, 50)), rng.randrange(len(data) + 1)
    return data[:at] + part + data[at + rng.choice((0, len(part))) :]


def relengthed(data: bytes, rng: Random) -> bytes:
    """Write an unlikely number of 1 to 8 bytes over some bytes: often a length, a count or an offset."""
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 3))):
        size = rng.choice((1, 2, 4, 4, 8))
        number = rng.choice((*LENGTHS, *(LONG_LENGTHS if size == 8 else ()))) % 2 ** (8 * size)
        near = rng.choice((len(changed), 64, 512))
        at = rng.randrange(max(1, min(near, len(changed) - size)))
        at = len(changed) - size - at if rng.random() < 0.3 else at
        changed[max(0, at) : max(0, at) + size] = number.to_bytes(size, rng.choice(("little", "big")))
    return bytes(changed)


def filled(data: bytes, rng: Random) -> bytes:
    """Fill a part with one byte, or with noise."""
    first = rng.randrange(len(data))
    size = min(len(data) - first, rng.choice((4, 16, 256, 4096)))
    noise = rng.choice((b"\0" * size, b"\xff" * size, rng.randbytes(size)))
    return data[:first] + noise + data[first + size :]


def reworded(data: bytes, rng: Random) -> bytes:
    """Replace a number or a word of a text by an unlikely one, or by brackets or many copies."""
    found = list(rng.choice((_NUMBER, _WORD)).finditer(data))
    if not found:
        return data + b"\0"
    hit = rng.choice(found)
    deep = rng.choice((50, 500, 100_000))
    new = rng.choice(
        (
            *(number.encode() for number in _NUMBERS),
            *(
                b"[" * deep,
                b"[" * 90 + b"]" * 90,
                b'{"a":' * deep,
                b"null",
                b"~",
                b"&a [*a, *a]",
                b"*a",
                b"<<",
            ),
            *(
                hit[0] * 2000,
                b'"' + hit[0],
                b"\xff\xfe",
                b"\0",
                b"\n",
                b"\t",
                b",",
                b": ",
                b"!!python/name:os.system",
            ),
            *(
                b"!!binary /9j/",
                b"2024-99-99",
                b"=1+1",
                b"\x1b[2J",
                b"|",
                b"1:2:3:4",
                b"!!int x",
                b"!!float []",
            ),
        )
    )
    return data[: hit.start()] + new + data[hit.end() :]


def relined(data: bytes, rng: Random) -> bytes:
    """Repeat, drop or move lines."""
    lines = data.split(b"\n")
    at, other = rng.randrange(len(lines)), rng.randrange(len(lines))
    choice = rng.randrange(4)
    if choice == 0:
        lines[at:at] = [lines[other]] * rng.choice((1, 2, 1000))
    elif choice == 1:
        del lines[at]
    elif choice == 2:
        lines[at], lines[other] = lines[other], lines[at]
    else:
        lines[at] = lines[at] + lines[other]
    return b"\n".join(lines)


def revalued(data: bytes, rng: Random) -> bytes:
    """Replace, repeat or remove a value of a JSON text."""
    tree = json.loads(data)
    for _ in range(rng.choice((1, 1, 2, 4))):
        _change(tree, rng)
    return json.dumps(tree).encode()


def bombed(data: bytes, rng: Random) -> bytes:
    """Add aliases of YAML that stand for ten times as much on each line."""
    levels = rng.choice((3, 6, 9, 30))
    mapping = rng.random() < 0.5
    lines = ["x0: &x0 {a: 1}" if mapping else "x0: &x0 [a]"]
    for k in range(1, levels + 1):
        inner = ", ".join([f"*x{k - 1}"] * 10)
        lines.append(f"x{k}: &x{k} {{<<: [{inner}], b{k}: 1}}" if mapping else f"x{k}: &x{k} [{inner}]")
    last = (
        re.sub(rb"(?m)^(\w+):.*$", rb"\1: *x%d" % levels, data.split(b"\n")[0]) if rng.random() < 0.5 else b""
    )
    return "\n".join(lines).encode() + b"\n" + data + b"\n" + last


def in_markup(data: bytes, rng: Random) -> bytes:
    """Change the encoding that an XML text declares, or its tags, or add entities, depth or very many tags."""
    codec = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "latin-1"
    text = data.decode(codec, "replace")
    hits = list(re.finditer(r"</?\w+[^>]*>", text))
    if not hits:
        return flipped(data, rng)
    hit = rng.choice(hits)
    head = text.find("?>") + 2
    choice = rng.randrange(5)
    if choice == 0:
        text = re.sub(r'encoding="[^"]*"', f'encoding="{rng.choice(_DECLARED)}"', text)
    elif choice == 1:
        text = f"{text[:head]}{rng.choice(_DOCTYPES)}{text[head:]}"
        text = text.replace(hit[0], f"{hit[0]}&b;", 1)
    elif choice == 2:
        deep = rng.choice((10, 1000, 100_000))
        text = f"{text[: hit.start()]}{'<x>' * deep}{rng.choice(('', '</x>' * deep))}{text[hit.end() :]}"
    elif choice == 3:
        text = text[: hit.start()] + hit[0] * rng.choice((1, 2, 1000)) + text[hit.end() :]
    else:
        text = text[: hit.start()] + rng.choice(hits)[0] + text[hit.end() :]
    return text.encode(codec, "replace")


def reencoded(data: bytes, rng: Random) -> bytes:
    """Write a text, or its first or last part, in another encoding."""
    text = next((found for codec in _CODECS if (found := _decoded(data, codec)) is not None), "")
    at = rng.choice((0, 0, rng.randrange(len(text) + 1)))
    first, last = (rng.choice(_CODECS) for _ in range(2))
    return text[:at].encode(first, "replace") + text[at:].encode(last, "replace")


def _decoded(data: bytes, codec: str) -> str | None:
    try:
        return data.decode(codec)
    except UnicodeDecodeError:
        return None


def _change(tree: Any, rng: Random) -> None:
    places: list[tuple[Any, Any]] = []
    pending = [tree]
    while pending:
        node = pending.pop()
        items = (
            list(node.items())
            if isinstance(node, dict)
            else list(enumerate(node))
            if isinstance(node, list)
            else []
        )
        places += [(node, key) for key, _ in items]
        pending += [value for _, value in items]
    if not places:
        return
    node, key = rng.choice(places)
    choice = rng.randrange(6)
    if choice == 0 and isinstance(node, dict):
        del node[key]
    elif choice == 1 and isinstance(node, list):
        node *= rng.choice((2, 100))
    elif choice == 2 and isinstance(node, dict):
        node[rng.choice(("x", "", "a b", "\0", "x" * 300))] = node[key]
    else:
        node[key] = rng.choice(_VALUES)


BINARY: tuple[Damage, ...] = (flipped, cut, spliced, relengthed, relengthed, filled)
TEXT: tuple[Damage, ...] = (reworded, reworded, relined, cut, flipped, spliced)
