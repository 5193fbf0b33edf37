"""Find images, classes and splits in the paths of a folder or an archive."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from automl.data.sources.base import counted
from automl.data.sources.files.folder_kinds import describes_images, is_image_folder, masks_among
from automl.data.sources.files.folder_roles import read_roles
from automl.data.sources.files.image_files import MOST_NAMED, ImageFiles, image_files
from automl.errors import DataError

_AS_IMAGES = "save them as PNG, with 16 bits where there are more than 8"
# What people have in place of images, and what to do.
_OTHER_KINDS = {
    (".dcm", ".dicom", ".ima"): ("DICOM files", _AS_IMAGES),
    (".nii", ".nii.gz", ".mha", ".mhd", ".nrrd"): ("volumes", "save slices of them as images"),
    (".svs", ".ndpi", ".mrxs", ".czi", ".lif", ".nd2"): (
        "slides and stacks of microscopes",
        "save tiles as images",
    ),
    (".cr2", ".cr3", ".nef", ".arw", ".dng", ".raf", ".rw2", ".orf"): ("raw photos", "save them as JPEG"),
    (".mp4", ".avi", ".mov", ".mkv", ".webm", ".mpg"): ("videos", "save frames of them as images"),
    (".svg", ".pdf", ".eps", ".ai"): ("drawings", "save them as PNG"),
    (".npy", ".npz", ".mat", ".h5", ".hdf5", ".pkl", ".pt"): (
        "arrays",
        "load them in Python, automl.fit(images, labels)",
    ),
    (".tfrecord", ".mdb", ".lmdb", ".rec", ".beton"): (
        "records of other libraries",
        "save their images as files",
    ),
    (".zip", ".tar", ".tar.gz", ".tgz", ".rar", ".7z"): (
        "archives in a folder",
        "unpack them, or give one alone",
    ),
}


@dataclass(frozen=True)
class Layout:
    """The images of a folder. `kept[i]` is the position of row i in the given list of paths."""

    kept: npt.NDArray[np.int64]
    classes: tuple[str, ...]
    labels: npt.NDArray[np.int64]
    splits: list[str]
    notes: tuple[str, ...] = ()


def read_layout(paths: Sequence[str], *, where: str, found: ImageFiles | None = None) -> Layout:
    """Find classes and splits in relative paths with "/" between their parts; `folder_roles` says how.

    Folders below a class folder do not count. Hidden files and folders and files without the extension of an image are
    ignored. `found` are the images among the paths, if they are known. Raises DataError, which names `where`, if no
    class is found.
    """
    found = image_files(paths) if found is None else found
    if not found.kept:
        seen = (
            f" (but {counted(found.others, 'other file')} such as {printable(found.named[0])})"
            if found.named
            else ""
        )
        raise DataError(
            "the data must be a folder of class folders with images, but no image file was found in "
            f"{where!r}{seen}: put each class into a folder of its own (CLASS/NAME.jpg), as JPEG or PNG"
            f"{_other_kind(found.named)}"
        )
    masks = masks_among([paths[i] for i in found.kept])
    unmasked = [k for k, i in enumerate(found.kept) if paths[i] not in masks] if masks else slice(None)
    positions = np.asarray(found.kept)[unmasked]
    folders = np.asarray(found.folder_of)[unmasked]
    used = np.unique(folders).tolist()
    roles = read_roles([found.folders[k] for k in used], where=where)
    meanings: list[tuple[str, str] | None] = [None] * len(found.folders)
    for k, meaning in zip(used, roles.meanings, strict=True):
        meanings[k] = meaning
    classes = tuple(sorted({meaning[0] for meaning in roles.meanings if meaning}))
    if not classes or (len(classes) == 1 and is_image_folder(classes[0])):
        side = next((path for path in paths if describes_images(path)), "")
        boxes = (
            f" ({printable(side)} beside them may say what is where in an image, which is not learned)"
            if side
            else ""
        )
        raise DataError(
            f"each class must have a folder of images, but those in {where!r} lie in no class folder{boxes}: "
            "move them to CLASS/NAME.jpg, or list them in a table labels.csv with the columns image and label"
        )
    number = {name: i for i, name in enumerate(classes)}
    label_of = np.array([-1 if meaning is None else number[meaning[0]] for meaning in meanings])
    kept = np.flatnonzero(label_of[folders] >= 0)
    split_of = ["" if meaning is None else meaning[1] for meaning in meanings]
    return Layout(
        kept=positions[kept],
        classes=classes,
        labels=label_of[folders[kept]],
        splits=[split_of[k] for k in folders[kept].tolist()],
        notes=(*roles.notes, *mask_note(masks), *notes_on(found, len(folders) - len(kept))),
    )


def _other_kind(names: Sequence[str]) -> str:
    """Return a clause on what the first files are, if images can be made of these; else ""."""
    for path in names:
        name = path.rpartition("/")[2].lower()
        if "." not in name:
            return "; files without an extension are not read: name images .jpg, .png or the like"
        for endings, (kind, what) in _OTHER_KINDS.items():
            if name.endswith(endings):
                return f"; {kind} are not read: {what}"
    return ""


def printable(path: str) -> str:
    """Return the path as text that can be written anywhere: bytes that are not UTF-8 become escapes."""
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return path  # the same object: there are many


def mask_note(masks: frozenset[str]) -> tuple[str, ...]:
    """Return the sentence on images that are masks of others; nothing for none."""
    if not masks:
        return ()
    first = printable(min(masks))
    return (
        f"Left out as masks of the images beside them, by their names: {counted(len(masks), 'file')} such as {first}.",
    )


def notes_on(found: ImageFiles, left: int) -> tuple[str, ...]:
    """Return what was ignored: files that are no images, and `left` images of no class."""
    notes = []
    if found.others:
        shown = ", ".join(printable(path) for path in found.named)
        more = f" and {found.others - MOST_NAMED:,} more" if found.others > MOST_NAMED else ""
        notes.append(
            f"{counted(found.others, 'file')} without the extension of an image ignored: {shown}{more}."
        )
    if left:
        notes.append(outside_note(left))
    return tuple(notes)


def outside_note(n: int) -> str:
    """Return the note on `n` images of no class."""
    return f"{counted(n, 'image')} outside of the class folders ignored."
