"""Ways to damage what is inside of a file of files, tensors or a database, so that its checksums and sizes fit."""

from __future__ import annotations

import gzip
import io
import re
import sqlite3
import struct
import tempfile
import zipfile
import zlib
from pathlib import Path
from random import Random
from typing import Any

from benchmarks.fuzz.damage import (
    LENGTHS,
    LONG_LENGTHS,
    cut,
    flipped,
    relengthed,
    revalued,
    reworded,
    spliced,
)


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
    number = rng.choice(LENGTHS) % 2 ** (8 * size)
    changed[at : at + size] = number.to_bytes(size, "little")
    if starts and rng.random() < 0.2:  # all entries point at one member
        first = changed[starts[0] + 42 : starts[0] + 46]
        for start in starts:
            changed[start + 42 : start + 46] = first
    return bytes(changed)


def in_zip_member(data: bytes, rng: Random) -> bytes:
    """Damage a member of a zip, with the right checksum: numbers of NumPy, or what torch writes."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    chosen = rng.choice([name for name in members if members[name]])
    members[chosen] = rng.choice((flipped, cut, relengthed, reworded, spliced))(members[chosen], rng)
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return made.getvalue()


def in_tar_header(data: bytes, rng: Random) -> bytes:
    """Change a field of a header in a tar, with the right checksum."""
    starts = [at for at in range(0, len(data) - 511, 512) if data[at + 257 : at + 262] == b"ustar"]
    start = rng.choice(starts)
    header = bytearray(data[start : start + 512])
    offset, size = rng.choice(
        ((0, 100), (100, 8), (124, 12), (124, 12), (136, 12), (156, 1), (157, 100), (345, 155))
    )
    octal = b"%o" % rng.choice((*LENGTHS, *LONG_LENGTHS))
    binary = b"\x80" + rng.choice((*LENGTHS, *LONG_LENGTHS)).to_bytes(11, "big")
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
