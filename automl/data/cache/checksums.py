"""Checksums of the files of a cache entry, so that damage is noticed before a search trains on it."""

from __future__ import annotations

import json
import time
import zlib
from pathlib import Path
from typing import Any

CHECKSUMS = "checksums.json"
_BLOCK = 2**20
# So many blocks of a large file are read at each opening: some milliseconds, whatever its size.
_BLOCKS_READ = 16


def write_checksums(folder: Path) -> None:
    """Write size and CRC-32 of every mebibyte of the files in `folder` that have content into checksums.json.

    To be called once the files are complete; empty files (locks) are left out.
    """
    files = {path.name: path for path in sorted(folder.iterdir()) if path.is_file() and path.stat().st_size}
    files.pop(CHECKSUMS, None)
    table = {name: {"size": path.stat().st_size, "blocks": _all_blocks(path)} for name, path in files.items()}
    (folder / CHECKSUMS).write_text(json.dumps(table), encoding="utf-8")


def find_damage(folder: Path) -> str:
    """What is wrong with the files in `folder`, in a few words; "" where nothing is.

    Files up to 16 MiB are read as a whole, of larger ones the ends and 14 blocks between them: others in every
    minute, so that damage anywhere is found in the course of some openings.
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
    """The blocks to read of `n`: all, or both ends and every k-th between them, from a start that moves."""
    if n <= _BLOCKS_READ:
        return list(range(n))
    step = -(-(n - 2) // (_BLOCKS_READ - 2))
    return [0, *range(1 + int(time.time() // 60) % step, n - 1, step), n - 1]
