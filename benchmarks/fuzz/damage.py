"""Ways to damage the bytes of a valid file. Each draws from a generator, so a case can be made again."""

from __future__ import annotations

import gzip
import json
import re
import sqlite3
import struct
import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

Damage = Callable[[bytes, Random], bytes]

_LENGTHS = (0, 1, 2, 127, 128, 255, 256, 32767, 65535, 65536, 2**24, 2**31 - 1, 2**31, 2**32 - 1)
_LONG_LENGTHS = (2**32, 2**40, 2**53, 2**63 - 1, 2**63, 2**64 - 1)
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
        number = rng.choice((*_LENGTHS, *(_LONG_LENGTHS if size == 8 else ()))) % 2 ** (8 * size)
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


def with_png_chunks(data: bytes, rng: Random) -> bytes:
    """Change a PNG's header or a chunk, with the right checksum."""
    chunks, at = [], 8
    while at + 12 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        chunks.append((kind, data[at + 8 : at + 8 + size]))
        at += 12 + size
    place = rng.choice((0, rng.randrange(len(chunks))))
    kind, content = chunks[place]
    if kind == b"IDAT" and rng.random() < 0.5:
        content = zlib.compress(flipped(zlib.decompress(content), rng))
    elif kind == b"IHDR":
        width, height = (rng.choice((1, 7, 16, 9000, 30_000, 2**31 - 1)) for _ in range(2))
        content = struct.pack(
            ">IIBBBBB", width, height, rng.choice((1, 8, 16, 3)), rng.choice((0, 2, 3, 4, 6)), 0, 0, 0
        )
    elif content:
        content = relengthed(content, rng)
    chunks[place] = (kind, content)
    if rng.random() < 0.2:
        chunks.insert(1, (b"iCCP", b"x\0\0" + zlib.compress(b"\0" * rng.choice((100, 2**26)))))
    return data[:8] + b"".join(
        struct.pack(">I", len(each)) + name + each + struct.pack(">I", zlib.crc32(name + each))
        for name, each in chunks
    )


def in_zip_directory(data: bytes, rng: Random) -> bytes:
    """Change a field of the central directory of a zip, or of its end."""
    end = data.rfind(b"PK\5\6")
    starts = [match.start() for match in re.finditer(rb"PK\1\2", data)]
    changed = bytearray(data)
    if rng.random() < 0.2 or not starts:
        offset, size = rng.choice(((8, 2), (10, 2), (12, 4), (16, 4), (20, 2)))
        at = end + offset
    else:
        fields = ((8, 2), (10, 2), (16, 4), (20, 4), (24, 4), (28, 2), (30, 2), (32, 2), (38, 4), (42, 4))
        offset, size = rng.choice(fields)
        at = rng.choice(starts) + offset
    number = rng.choice(_LENGTHS) % 2 ** (8 * size)
    changed[at : at + size] = number.to_bytes(size, "little")
    if starts and rng.random() < 0.2:  # all entries point at one member
        first = changed[starts[0] + 42 : starts[0] + 46]
        for start in starts:
            changed[start + 42 : start + 46] = first
    return bytes(changed)


def in_tar_header(data: bytes, rng: Random) -> bytes:
    """Change a field of a header in a tar, with the right checksum."""
    starts = [at for at in range(0, len(data) - 511, 512) if data[at + 257 : at + 262] == b"ustar"]
    start = rng.choice(starts)
    header = bytearray(data[start : start + 512])
    offset, size = rng.choice(
        ((0, 100), (100, 8), (124, 12), (124, 12), (136, 12), (156, 1), (157, 100), (345, 155))
    )
    octal = b"%o" % rng.choice((*_LENGTHS, *_LONG_LENGTHS))
    binary = b"\x80" + rng.choice((*_LENGTHS, *_LONG_LENGTHS)).to_bytes(11, "big")
    negative = b"\xff" + (2**88 - rng.choice((1, 512, 1024, 10**6))).to_bytes(11, "big")
    types = (b"1", b"2", b"3", b"4", b"5", b"6", b"7", b"L", b"K", b"S", b"x", b"g", b"X", b"V")
    new = (
        rng.choice(types)
        if size == 1
        else rng.choice((octal, binary, negative, b"\0" * 12, b"../../x", b"/etc/x", b"\xff"))
    )
    header[offset : offset + size] = new[:size].ljust(size, b"\0")
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return data[:start] + bytes(header) + data[start + 512 :]


def inside_gzip(data: bytes, rng: Random) -> bytes:
    """Damage what a gzip holds."""
    return gzip.compress(rng.choice((in_tar_header, flipped, cut, relengthed))(gzip.decompress(data), rng), 1)


def in_safetensors_header(data: bytes, rng: Random) -> bytes:
    """Change a value of the JSON at the beginning of a safetensors file, with the right length."""
    size = int.from_bytes(data[:8], "little")
    header = revalued(data[8 : 8 + size], rng)
    return len(header).to_bytes(8, "little") + header + data[8 + size :]


def in_database(data: bytes, rng: Random) -> bytes:
    """Write an unlikely value into a cell of an SQLite database, or drop, empty or rename a table."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.db"
        path.write_bytes(data)
        connection = sqlite3.connect(path)
        tables = [
            row[0]
            for row in connection.execute("SELECT name FROM sqlite_master WHERE type='table' ORDER BY name")
        ]
        table = rng.choice(tables)
        columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
        column = rng.choice(columns)
        values = (
            None,
            -1,
            0,
            2**40,
            2**62,
            1e308,
            "x",
            "",
            "[" * 90 + "]" * 90,
            "[" * 5000,
            "{}",
            "null",
            "9" * 5000,
            b"\xff\xfe",
        )
        texts = ('{"a": [1]}', '{"value": "x"}', "[1, 2]", "NaN", "\0", "a\nb", "\x1b[31m")
        statements: tuple[tuple[str, tuple[Any, ...]], ...] = (
            *((f"UPDATE {table} SET {column} = ?", (rng.choice((*values, *texts)),)) for _ in range(4)),
            (f"DELETE FROM {table}", ()),
            (f"DROP TABLE {table}", ()),
            (f"ALTER TABLE {table} RENAME COLUMN {column} TO other", ()),
        )
        statement, given = rng.choice(statements)
        try:
            connection.execute("PRAGMA foreign_keys=OFF")
            connection.execute(statement, given)
            connection.commit()
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.Error:
            connection.rollback()
            connection.close()
            return flipped(data, rng)
        connection.close()
        return path.read_bytes()


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
