"""Pictures whose folders name their classes."""

from __future__ import annotations

from collections.abc import Sequence

from automl.data.sources.base import Source, hash_pairs
from automl.data.sources.files.base import Files
from automl.data.sources.files.layout import printable, read_layout
from automl.records import Task


class ClassFolderSource(Source):
    """Pictures in CLASS/ or SPLIT/CLASS/ of a folder or an archive. Raises DataError if there are none."""

    task: Task = "classification"

    def __init__(self, files: Files) -> None:
        layout = read_layout(files.paths, where=files.where)
        self._files = files
        self._paths = [files.paths[i] for i in layout.kept.tolist()]
        self.name = files.name
        self.files: Sequence[str] = [printable(path) for path in self._paths]
        self.classes = tuple(printable(name) for name in layout.classes)
        self.targets = layout.labels
        self.splits: Sequence[str] = layout.splits
        self.groups: Sequence[str] = [""] * len(self.files)
        self.notes = layout.notes

    def read(self, i: int) -> bytes:
        """The bytes of file i. Raises DataError with a short reason."""
        return self._files.read(self._paths[i])

    def state(self) -> str:
        """Hash of names, sizes and times or checksums, and of the place of a folder."""
        return hash_pairs(["", *self._paths], [self._files.place(), *self._files.states(self._paths)])

    def content(self, digests: Sequence[str]) -> str:
        """Hash of relative paths, which hold the classes, and of contents."""
        return hash_pairs(self.files, digests)

    def stored(self) -> tuple[Files, Sequence[str]] | None:
        """The files, and the path of each picture."""
        return self._files, self._paths

    def close(self) -> None:
        """Close the archive."""
        self._files.close()
