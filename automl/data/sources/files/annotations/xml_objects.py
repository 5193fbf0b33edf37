"""Read which kinds of objects are in images from XML: a file for each image (Pascal VOC), or one for all (CVAT)."""

from __future__ import annotations

import codecs
import posixpath
import re
from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple
from xml.parsers import expat

from automl.data.sources.base import counted
from automl.data.sources.files.base import Files
from automl.data.sources.files.layout import printable
from automl.data.sources.files.tables.columns import Table
from automl.data.sources.files.tables.read_table import NOTE, most_bytes
from automl.errors import DataError

_SUFFIX = ".xml"
_LOOKED_AT = 20  # files; if none of them is known, the others are not read
_TAG = "tag"  # CVAT's label of a whole image
_SEVERAL = ""  # a name of several images
_DECLARED = re.compile(rb"""\s*<\?xml[^>]{0,100}?encoding\s*=\s*["']([\w.:-]{1,40})["']""")
# Encodings of several bytes, which expat does not know, and those with more characters that are declared so.
_WIDE = {
    **{
        name: name
        for name in ("gb18030", "big5hkscs", "cp932", "cp949", "cp950", "euc_jp", "iso2022_jp", "johab")
    },
    **{"gb2312": "gb18030", "gbk": "gb18030", "big5": "cp950", "shift_jis": "cp932", "euc_kr": "cp949"},
}


class _Image(NamedTuple):
    """An image as a file names it, and the labels of the whole image or of its objects."""

    name: str
    labels: frozenset[str]


def object_tables(files: Files) -> list[Table]:
    """Return a table of the images and the kinds of objects in them; nothing if no XML says them.

    An image has one label if none has several, else a list. In CVAT's files, labels of whole images (tags) count, if
    there are any, and those of objects otherwise.
    """
    import pandas as pd

    paths = files.paths.ending((_SUFFIX,))
    images = [files.paths[i] for i in files.paths.images.kept] if paths else []
    by_stem: dict[str, str] = {}
    for path in images:
        folder, _, name = posixpath.splitext(path)[0].rpartition("/")
        by_stem[f"{folder}/{name}"] = path
        by_stem[name] = _SEVERAL if name in by_stem else path
    found: dict[str, frozenset[str]] = {}
    unread: list[str] = []
    for k, path in enumerate(paths):
        if k == _LOOKED_AT and not found:
            return []
        images_in = _images_in(files, path)
        if images_in is None:
            unread.append(path)
        for image in images_in or ():
            place = _place(path, image.name, by_stem)
            if place:
                found[place] = image.labels
    if not found:
        return []
    several = any(len(labels) > 1 for labels in found.values())
    rows = [sorted(found[path]) if several else next(iter(found[path]), None) for path in sorted(found)]
    frame = pd.DataFrame({"image": sorted(found), "label": rows})
    empty = sum(not labels for labels in found.values())
    without = f" ({counted(empty, 'image')} without any)" if empty else ""
    damaged = (
        f" {counted(len(unread), 'XML file')} cannot be read, such as {printable(unread[0])} (damaged, with a document "
        "type, or not in the encoding that it declares)."
        if unread
        else ""
    )
    frame.attrs = {
        NOTE: f"XML such as {printable(paths[0])} says which objects are in images: their kinds are the labels of an "
        f"image{without}; boxes and outlines are not learned." + damaged
    }
    return [Table(paths[0], "", "", frame, "image", "label")]


def _place(path: str, name: str, by_stem: dict[str, str]) -> str:
    """Return the image that an XML file names, which may lie beside it; "" if there is none, or are several."""
    folder = posixpath.dirname(path)
    stem = posixpath.splitext(name.replace("\\", "/"))[0]
    own = posixpath.splitext(posixpath.basename(path))[0]
    keys = (f"{folder}/{stem}", f"{folder}/images/{stem}", f"{folder}/{own}", posixpath.basename(stem), own)
    return next((by_stem[key] for key in keys if by_stem.get(key)), "")


def _images_in(files: Files, path: str) -> Sequence[_Image] | None:
    """Return the images in a file; nothing if it is something else, and None if it cannot be read."""
    reader = _Reader()
    try:
        content = files.read(path, most=most_bytes(path))
    except DataError:
        return None
    text = _text(content)
    parser = expat.ParserCreate(None if text is None else "utf-8")  # None: the encoding that is declared
    parser.buffer_text = True
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    parser.StartDoctypeDeclHandler = _refuse  # entities may grow without limit
    try:
        parser.Parse(content if text is None else text, True)
    except (expat.ExpatError, ValueError, LookupError):
        return None
    return reader.images


def _text(content: bytes) -> bytes | None:
    """Return a document in UTF-8 if it is in an encoding that expat does not know; None for others.

    One that Python does not know either, such as ANSI, may be declared by a document that is UTF-8 all the same.
    """
    found = _DECLARED.match(content)
    if found is None:
        return None
    try:
        wide = _WIDE.get(codecs.lookup(found[1].decode("ascii")).name)
        return content.decode(wide).encode() if wide else None
    except (LookupError, ValueError):
        return content


def _refuse(*_: object) -> None:
    raise ValueError("a document type is not expected")


class _Reader:
    """Collects the images while a file is parsed."""

    def __init__(self) -> None:
        self.images: list[_Image] = []
        self._path: list[str] = []
        self._words: list[str] = []
        self._said: dict[str, set[str]] = defaultdict(set)
        self._name = ""

    def start(self, kind: str, attributes: dict[str, str]) -> None:
        self._path.append(kind)
        self._words.clear()
        if self._path == ["annotations", "image"]:
            self._name = attributes.get("name", "")
            self._said.clear()
        elif self._path[:2] == ["annotations", "image"] and len(self._path) == 3 and "label" in attributes:
            self._said[_TAG if kind == _TAG else "object"].add(attributes["label"].strip())

    def text(self, words: str) -> None:
        self._words.append(words)

    def end(self, kind: str) -> None:
        words = "".join(self._words).strip()
        if self._path == ["annotation", "filename"]:
            self._name = words
        elif self._path == ["annotation", "object", "name"]:
            self._said["object"].add(words)
        elif self._path in (["annotation"], ["annotations", "image"]):
            self.images.append(_Image(self._name, frozenset(self._said[_TAG] or self._said["object"]) - {""}))
        self._path.pop()
        self._words.clear()
