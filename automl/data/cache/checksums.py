"""Checksums of the files of a cache entry, which reveal damage before a search trains on it."""

from __future__ import annotations

import json
import time
import zlib
from pathlib import Path
from typing import Any

CHECKSUMS = "checksums.json"
_BLOCK = 2**20
# Blocks of a large file that are read at each opening: this takes some milliseconds for any size.
_BLOCKS_READ = 16


def write_checksums(folder: Path) -> None:
    """Write the size of each non-empty file in `folder`, and the CRC-32 of every mebibyte, to checksums.json."""
    files = {path.name: path for path in sorted(folder.iterdir()) if path.is_file() and path.stat().st_size}
    files.pop(CHECKSUMS, None)
    table = {name: {"size": path.stat().st_size, "blocks": _all_blocks(path)} for name, path in files.items()}
    (folder / CHECKSUMS).write_text(json.dumps(table), encoding="utf-8")


def find_damage(folder: Path) -> str:
    """Return what is wrong with the files in `folder`, "" if they are sound.

    Files up to 16 MiB are read completely. Of larger ones, the ends and 14 blocks between them are read, other blocks
    in every minute: damage anywhere is found within some openings.
    """
    try:
        table: dict[str, dict[str, Any]] = json.loads((folder / CHECKSUMS).read_text(encoding="utf-8"))
        for name, entry in table.items():
            path, blocks = folder / name, entry["blocks"]
            if path.stat().st_size != entry["size"]:
                return f"{name} has another size"
            with path.open("rb") as file:
                for k in _sample(len(blocks)):
                    file.seek(k * _BLOCK)
                    if zlib.crc32(file.read(_BLOCK)) != blocks[k]:
                        return f"{name} has another content"
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return f"{type(error).__name__}: {error}"
    return ""


def _all_blocks(path: Path) -> list[int]:
    found = []
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            found.append(zlib.crc32(block))
    return found


def _sample(n: int) -> list[int]:
    """Return the blocks to read: all, or both ends and every k-th between them, with an offset that moves."""
    if n <= _BLOCKS_READ:
        return list(range(n))
    step = -(-(n - 2) // (_BLOCKS_READ - 2))
    return [0, *range(1 + int(time.time() // 60) % step, n - 1, step), n - 1]
