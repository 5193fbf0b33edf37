"""One case: a valid file is damaged, read, and put back. A case is made again from seed, reader and number."""

from __future__ import annotations

import contextlib
import random
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from automl.errors import AutomlError
from benchmarks.fuzz.readers import Reader


@dataclass(frozen=True)
class Outcome:
    """What came out: "" if the file was read, the kind of a refusal, or an error that nobody expected (`bad`)."""

    kind: str
    text: str
    seconds: float  # of the CPU
    bad: bool = False
    grown: int = 0  # bytes of memory at the highest


class Bench:
    """A reader with its valid files in a folder of its own."""

    def __init__(self, reader: Reader, folder: Path) -> None:
        self.reader, self.folder = reader, folder
        folder.mkdir(parents=True, exist_ok=True)
        self._files: Sequence[Path] = list(reader.make(folder))
        self._whole = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    def damaged(self, seed: int, number: int) -> tuple[Path, str, bytes]:
        """Return the file of a case, the way in which it is damaged, and its bytes."""
        rng = random.Random(f"{seed} {self.reader.name} {number}")
        file = self._files[number % len(self._files)]
        data, told = self._whole[file], []
        for _ in range(rng.choice((1, 1, 1, 2))):
            way = rng.choice(self.reader.ways_for(file))
            told.append(way.__name__)
            try:
                data = way(data, rng) or b"\0"
            except Exception:
                continue  # damaged twice, it is no JSON or gzip any more
        return file, "+".join(told), data

    def try_case(self, seed: int, number: int) -> Outcome:
        """Read a damaged file, and put the valid one back."""
        file, _, data = self.damaged(seed, number)
        file.write_bytes(data)
        begun = time.process_time()  # other work on the machine does not count
        kind = text = ""
        bad = False
        try:
            self.reader.read(file)
        except AutomlError as error:
            kind, text = type(error).__name__, str(error)
            bad = not text or len(text) > 20_000
        except Exception as error:
            kind, text, bad = type(error).__name__, str(error), True
        seconds = time.process_time() - begun
        self._put_back()
        return Outcome(kind, text[:500], seconds, bad)

    def _put_back(self) -> None:
        for path in list(self.folder.rglob("*")):
            if path not in self._whole and path.is_file():
                path.unlink()
        for path, data in self._whole.items():
            with contextlib.suppress(OSError):
                if path.read_bytes() == data:
                    continue
            if path.is_dir():
                shutil.rmtree(path)
            path.write_bytes(data)
