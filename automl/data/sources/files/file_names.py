"""Find classes in the names of images that lie in no class folders: cat.0.jpg, Abyssinian_12.jpg, 12_dog.jpg."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from automl.data.sources.base import counted
from automl.data.sources.files.folder_kinds import SHOWN, listed, masks_among, unwrap
from automl.data.sources.files.image_files import ImageFiles, image_files
from automl.data.sources.files.layout import Layout, mask_note, notes_on, printable
from automl.data.sources.files.split_names import (
    TRAIN,
    UNLABELLED,
    marks_as_letters,
    part_beside,
    split_of,
    splits_among,
    words_in,
)
from automl.terminal.printable import short

Folder = tuple[str, ...]
# A word, and one number or several after it: cat.0, cat_001, cat-12, cat (3), cat12, cat_2_001.
_NUMBERED = re.compile(r"(?P<word>.*?[^\W\d_])(?:[ ._-]*\(?\d++\)?)+")
_PIECES = re.compile(r"\d+|[^\W\d_]+|[\W_]+")  # numbers, words, and what is between them
# What stands between words and numbers, and says nothing; # before a number is that of a number, but not that of C#.
_BETWEEN = r"\s_.,;:=()\[\]{}\-–—（）"
_BEFORE_WORD = re.compile(f"[{_BETWEEN}]*")
_AFTER_WORD = re.compile(rf"(?:[{_BETWEEN}\d]|(?<=[\s_])#(?=\d))*\Z")
_NUMBER = re.compile(r"\d+")
_LONGEST_GRADE = 3  # digits; longer numbers are dates and the like
_LONGEST = 255  # characters of a file name
_FEWEST = 3  # images of a class: one for each part of a split
# Words that cameras, programs and people put before numbers, and that say nothing of what is in an image.
_NUMBERED_BY_PROGRAMS = """
img imgs image images dsc dscn dscf dcim pxl p mvi mov vid video gopr gp go pro gopro dji cimg imgp sam
pict sdc wp wa whats app whatsapp photo photos picture pictures pic pics foto fotos bild bilder imagen
imagem screenshot screen shot bildschirmfoto capture snapshot snap scan scanned burst frame frames clip
camera cam view file files page slide tile patch crop sample item object instance untitled unnamed
download output input render patient subject case person scene seq sequence session id no nr number
изображение фото 图片 照片 画像 写真 사진
"""
Notes = tuple[str, ...]
_SAYING_NOTHING = frozenset(_NUMBERED_BY_PROGRAMS.split())


class _Said(NamedTuple):
    """The class in a name, "" for none, what stands before it, "" if no number does, and numbers after it."""

    word: str
    before: str = ""
    after: str = ""


class _Named(NamedTuple):
    """An image: its position among the paths, the number of its folder, and what its name says."""

    position: int
    folder: int
    said: str
    before: str
    after: str


def read_file_names(paths: Sequence[str], found: ImageFiles | None = None) -> tuple[Layout | None, str]:
    """Return images with the classes in their names; or None, and why they are not read so ("" for no reason).

    All images lie in one folder, or in folders of the parts of a split. All names are a word and a number, or else a
    number and a word (perhaps with another number), and there are two words or more, each in three names or more. Words
    of cameras and programs (IMG, DSC, frame) are no classes. A part without such names is left out: Kaggle's test
    images are numbered. A number that stands before several words is that of one thing in several views: 10_left,
    10_right_2. Numbers after a word that repeat may say more than it: 0_grade_1, 1_grade_2, grade_1_001.
    `found` are the images among the paths, if they are known.
    """
    found = image_files(paths) if found is None else found
    parts, notes = _parts(found)
    masks = masks_among([paths[i] for i in found.kept]) if parts else frozenset()
    why = ""
    for say, place in ((_word_first, "begin"), (_word_last, "end")):
        images = [
            _Named(i, folder, *say(paths[i]))
            for i, folder in zip(found.kept, found.folder_of, strict=True)
            if folder in parts and paths[i] not in masks
        ]
        bare = _without_names(images, parts)
        images = [image for image in images if image.folder not in bare]
        counts = Counter(image.said for image in images)
        if len(counts.keys() - {""}) < 2 or 2 * counts[""] >= counts.total():
            continue  # one word, or most names are anything
        odd = next((paths[image.position] for image in images if not image.said), "")
        problem = _problem(counts, odd, place) or _views(images, paths) or _grades(images, paths)
        if not problem:
            told = (*notes, *_told(found, parts, bare), *mask_note(masks), *notes_on(found, 0))
            return _layout(images, paths, parts, told), ""
        why = problem  # of words after numbers, if most names have these
    return None, why


def _layout(images: Sequence[_Named], paths: Sequence[str], parts: dict[int, str], told: Notes) -> Layout:
    counts = Counter(image.said for image in images)
    classes = tuple(sorted(counts))
    number = {name: k for k, name in enumerate(classes)}
    several = len({parts[image.folder] for image in images}) > 1
    first = printable(paths[images[0].position].rpartition("/")[2])
    said = f"Labels from file names, as in {first} the class {images[0].said!r}: {_shares(counts)}."
    return Layout(
        kept=np.array([image.position for image in images], dtype=np.int64),
        classes=classes,
        labels=np.array([number[image.said] for image in images]),
        splits=[parts[image.folder] if several else "" for image in images],
        notes=(said, *told),
    )


def _parts(found: ImageFiles) -> tuple[dict[int, str], tuple[str, ...]]:
    """Return the part of each folder of images that is used, and notes; nothing if folders are no parts of a split."""
    used = sorted(set(found.folder_of))
    opened = unwrap([found.folders[k] for k in used])
    folders = {k: folder for k, folder in zip(used, opened.folders, strict=True) if folder is not None}
    if len(folders) == 1:
        return dict.fromkeys(folders, TRAIN), opened.notes
    names = {k: folder[-1] if folder else "" for k, folder in folders.items()}
    splits = splits_among(names.values())
    around = {folder[:-1] for folder in folders.values()}
    if len(around) != 1 or TRAIN not in splits.values() or not all(name in splits for name in names.values()):
        return {}, ()
    return {k: splits[name] for k, name in names.items()}, opened.notes


def _stem(path: str) -> str:
    """Return the name of a file in composed letters without its extension; "" for one that no file system has."""
    stem = path.rpartition("/")[2].rpartition(".")[0]
    return unicodedata.normalize("NFC", stem) if len(stem) <= _LONGEST else ""


def _plain(word: str) -> str:
    return printable(word).strip()


def _word_first(path: str) -> _Said:
    """Return the word before the number at the end of a file's name."""
    stem = _stem(path)
    found = _NUMBERED.fullmatch(marks_as_letters(stem))
    if found is None:
        return _Said("")
    numbers = _NUMBER.findall(stem, found.end("word"))[:-1]  # the last one is that of the image
    grades = [number for number in numbers if len(number) <= _LONGEST_GRADE]
    return _Said(_plain(stem[: found.end("word")]), after=" ".join(grades))


def _word_last(path: str) -> _Said:
    """Return the word after a number, which begins the name or follows words of programs: 0_cat, IMG_0001_cat (2).

    Signs that belong to a word are a part of it: good!, C++ and A-, but not those of (cat).
    """
    stem = _stem(path)
    pieces = [stem[slice(*found.span())] for found in _PIECES.finditer(marks_as_letters(stem))]
    words = [k for k, piece in enumerate(pieces) if piece[0].isalpha()]
    # A letter alone is no word of a program: P1a, P1b.
    of_programs = [k for k in words if len(pieces[k]) > 1 and pieces[k].lower() in _SAYING_NOTHING]
    own = next((k for k in words if k not in of_programs), words[-1] if words else 0)
    numbers = [k for k in range(own) if pieces[k].isdecimal()]
    if not numbers:
        return _Said("")
    begin = next(k for k in words if k > numbers[-1])
    signs = _BEFORE_WORD.sub("", "".join(pieces[numbers[-1] + 1 : begin]), count=1)
    rest = "".join(pieces[words[-1] + 1 :])
    own_end = rest if rest == "-" else _AFTER_WORD.sub("", rest)
    word = signs + "".join(pieces[begin : words[-1] + 1]) + own_end
    after = _NUMBER.findall(rest.removeprefix(own_end))
    return _Said(_plain(word), "".join(pieces[:begin]), " ".join(after))


def _views(images: Sequence[_Named], paths: Sequence[str]) -> str:
    """Return why words after numbers are no classes, if most numbers stand before several words; else ""."""
    words: dict[tuple[int, str], dict[str, str]] = defaultdict(dict)
    for image in images:
        if image.before:
            words[image.folder, image.before].setdefault(image.said, paths[image.position])
    several = [said for said in words.values() if len(said) > 1]
    if 2 * len(several) <= len(words):
        return ""
    first, second = (short(printable(path.rpartition("/")[2])) for path in list(several[0].values())[:2])
    return f"names such as {first} and {second} have one number, so they may show the same thing"


def _grades(images: Sequence[_Named], paths: Sequence[str]) -> str:
    """Return why words are no classes, if the numbers after one repeat in other images, as those of grades; else ""."""
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for image in images:
        found[image.said].setdefault(image.after, paths[image.position])
    counts = Counter(image.said for image in images)
    for word, by_number in found.items():
        if 1 < len(by_number) < counts[word]:
            first, second = (
                short(printable(path.rpartition("/")[2])) for path in list(by_number.values())[:2]
            )
            return f"the numbers after {word!r} in names such as {first} and {second} may be a part of what they say"
    return ""


def _without_names(images: Sequence[_Named], parts: dict[int, str]) -> set[int]:
    """Return the folders of parts, except that of training, in which no name says a class."""
    said: dict[int, set[str]] = defaultdict(set)
    for image in images:
        said[image.folder].add(image.said)
    return {k for k, words in said.items() if parts[k] == UNLABELLED or (parts[k] != TRAIN and words == {""})}


def _problem(counts: Counter[str], odd: str, place: str) -> str:
    """Return why two words or more that `place` (begin or end) the names are no classes; "" if they are."""
    words = sorted(counts.keys() - {""})
    if odd:
        are = "is" if counts[""] == 1 else "are"
        return f"{counted(counts[''], 'name')} such as {short(printable(odd))} {are} not a word and a number"
    numbering = [word for word in words if set(words_in(word)) <= _SAYING_NOTHING]
    if numbering:
        return f"cameras and programs give names such as those that {place} with {numbering[0]!r}"
    parts = [word for word in words if split_of(word) or part_beside(word)]
    if parts:
        return f"those that {place} with {parts[0]!r} may mean a part of a split"
    mixed = [word for word in words if any(map(str.isdigit, word))]
    if mixed:
        return f"there are numbers inside of names such as those that {place} with {mixed[0]!r}"
    rare = [word for word in words if counts[word] < _FEWEST]
    if rare:
        return f"fewer than {_FEWEST} of {counts.total():,} names {place} with {rare[0]!r}"
    return ""


def _shares(counts: Counter[str]) -> str:
    shown = ", ".join(f"{name} {n:,}" for name, n in sorted(counts.items())[:SHOWN])
    return shown + (f" and {len(counts) - SHOWN} more" if len(counts) > SHOWN else "")


def _told(found: ImageFiles, parts: dict[int, str], bare: Iterable[int]) -> tuple[str, ...]:
    """Return which folders were taken for which parts, and which are left out."""
    left = set(bare)
    used = [f"{'/'.join(found.folders[k])}/ as {part}" for k, part in parts.items() if k not in left]
    told = (f"Folders taken for parts of a split: {', '.join(used)}.",) if len(used) > 1 else ()
    names = [f"{'/'.join(found.folders[k])}/" for k in left]
    return (*told, f"Left out, as no file name in it says a class: {listed(names)}.") if names else told
