"""Find classes in the names of images that lie in no class folders: cat.0.jpg, Abyssinian_12.jpg, 12_dog.jpg."""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
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
_ANY = "0"  # in the place of each number of a name, to see what names have in common
_MOST_FORMS = 4096  # that are remembered; most data have one for each class
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


class _Form(NamedTuple):
    """What all names say that differ in numbers alone. Each number is 0 in `word` and `before`, what stands before it.

    `ahead` numbers stand before the word, and `inside` numbers are in it. Of the `behind` numbers after it, the last
    `own` are those of the image.
    """

    word: str
    before: str = ""
    ahead: int = 0
    inside: int = 0
    behind: int = 0
    own: int = 0


@dataclass(frozen=True)
class _Images:
    """Images by their places among the paths, the numbers of their folders, and what their names say ("" for nothing).

    Lists, as there are many images: an object for each would take twice the time.
    """

    places: list[int]
    folders: list[int]
    forms: list[_Form]
    said: list[str]

    def outside(self, folders: Collection[int]) -> _Images:
        """Return those that lie in no folder of these."""
        if not folders:
            return self
        rows = [row for row, folder in enumerate(self.folders) if folder not in folders]
        return _Images(
            [self.places[row] for row in rows],
            [self.folders[row] for row in rows],
            [self.forms[row] for row in rows],
            [self.said[row] for row in rows],
        )


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
    rows = [k for k, folder in enumerate(found.folder_of) if folder in parts]
    rows = [k for k in rows if paths[found.kept[k]] not in masks] if masks else rows
    places, folders = [found.kept[k] for k in rows], [found.folder_of[k] for k in rows]
    names = [_without_numbers(paths[i]) for i in places]
    for read, place in ((_word_first, "begin"), (_word_last, "end")):
        forms = list(map(read, names))
        words = [
            form.word if not form.inside else _word(paths[i], form)
            for i, form in zip(places, forms, strict=True)
        ]
        images = _Images(places, folders, forms, words)
        bare = _without_names(images, parts)
        images = images.outside(bare)
        counts = Counter(images.said)
        if len(counts.keys() - {""}) < 2 or 2 * counts[""] >= counts.total():
            continue  # one word, or most names are anything
        odd = paths[images.places[images.said.index("")]] if counts[""] else ""
        problem = _problem(counts, odd, place) or _views(images, paths) or _grades(images, paths)
        if not problem:
            told = (*notes, *_told(found, parts, bare), *mask_note(masks), *notes_on(found, 0))
            return _layout(images, paths, parts, told), ""
        why = problem  # of words after numbers, if most names have these
    return None, why


def _layout(images: _Images, paths: Sequence[str], parts: dict[int, str], told: Notes) -> Layout:
    counts = Counter(images.said)
    classes = tuple(sorted(counts))
    number = {name: k for k, name in enumerate(classes)}
    several = len({parts[folder] for folder in images.folders}) > 1
    first = printable(paths[images.places[0]].rpartition("/")[2])
    said = f"Labels from file names, as in {first} the class {images.said[0]!r}: {_shares(counts)}."
    return Layout(
        kept=np.array(images.places, dtype=np.int64),
        classes=classes,
        labels=np.array([number[word] for word in images.said]),
        splits=[parts[folder] if several else "" for folder in images.folders],
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
    if len(stem) > _LONGEST:
        return ""
    return stem if stem.isascii() else unicodedata.normalize("NFC", stem)


def _without_numbers(path: str) -> str:
    """Return the name of a file with 0 for each number."""
    return _NUMBER.sub(_ANY, _stem(path))


def _word(path: str, form: _Form) -> str:
    return _plain(_filled(form.word, _NUMBER.findall(_stem(path))[form.ahead :]))


def _before(path: str, form: _Form) -> str:
    """Return what stands before the word in a name."""
    return _filled(form.before, _NUMBER.findall(_stem(path)))


def _after(path: str, form: _Form) -> str:
    """Return the numbers after the word; without dates, if the last one is that of the image."""
    found = _NUMBER.findall(_stem(path))[form.ahead + form.inside :]
    if not form.own:
        return " ".join(found)
    return " ".join(number for number in found[: -form.own] if len(number) <= _LONGEST_GRADE)


def _filled(text: str, numbers: Sequence[str]) -> str:
    """Return a text with the first of these numbers in the place of each 0."""
    texts = text.split(_ANY)
    return "".join(itertools.chain.from_iterable(zip(texts, (*numbers[: len(texts) - 1], ""), strict=True)))


def _plain(word: str) -> str:
    return printable(word).strip()


@lru_cache(maxsize=_MOST_FORMS)
def _word_first(name: str) -> _Form:
    """Return the word before the number at the end of a file's name."""
    found = _NUMBERED.fullmatch(marks_as_letters(name))
    if found is None:
        return _Form("")
    word = name[: found.end("word")]
    inside = word.count(_ANY)
    behind = name.count(_ANY) - inside
    return _Form(word if inside else _plain(word), inside=inside, behind=behind, own=1)


@lru_cache(maxsize=_MOST_FORMS)
def _word_last(name: str) -> _Form:
    """Return the word after a number, which begins the name or follows words of programs: 0_cat, IMG_0001_cat (2).

    Signs that belong to a word are a part of it: good!, C++ and A-, but not those of (cat).
    """
    pieces = [name[slice(*found.span())] for found in _PIECES.finditer(marks_as_letters(name))]
    words = [k for k, piece in enumerate(pieces) if piece[0].isalpha()]
    # A letter alone is no word of a program: P1a, P1b.
    of_programs = [k for k in words if len(pieces[k]) > 1 and pieces[k].lower() in _SAYING_NOTHING]
    own = next((k for k in words if k not in of_programs), words[-1] if words else 0)
    numbers = [k for k in range(own) if pieces[k] == _ANY]
    if not numbers:
        return _Form("")
    begin = next(k for k in words if k > numbers[-1])
    signs = _BEFORE_WORD.sub("", "".join(pieces[numbers[-1] + 1 : begin]), count=1)
    rest = "".join(pieces[words[-1] + 1 :])
    word = (
        signs + "".join(pieces[begin : words[-1] + 1]) + (rest if rest == "-" else _AFTER_WORD.sub("", rest))
    )
    inside = word.count(_ANY)
    ahead = len(numbers)
    behind = name.count(_ANY) - ahead - inside
    return _Form(word if inside else _plain(word), "".join(pieces[:begin]), ahead, inside, behind)


def _views(images: _Images, paths: Sequence[str]) -> str:
    """Return why words after numbers are no classes, if most numbers stand before several words; else ""."""
    words: dict[tuple[int, str], dict[str, str]] = defaultdict(dict)
    for place, folder, form, said in zip(
        images.places, images.folders, images.forms, images.said, strict=True
    ):
        if form.before:
            words[folder, _before(paths[place], form)].setdefault(said, paths[place])
    several = [said for said in words.values() if len(said) > 1]
    if 2 * len(several) <= len(words):
        return ""
    first, second = (short(printable(path.rpartition("/")[2])) for path in list(several[0].values())[:2])
    return f"names such as {first} and {second} have one number, so they may show the same thing"


def _grades(images: _Images, paths: Sequence[str]) -> str:
    """Return why words are no classes, if the numbers after one repeat in other images, as those of grades; else ""."""
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for place, form, said in zip(images.places, images.forms, images.said, strict=True):
        after = _after(paths[place], form) if form.behind > form.own else ""
        found[said].setdefault(after, paths[place])
    counts = Counter(images.said)
    for word, by_number in found.items():
        if 1 < len(by_number) < counts[word]:
            first, second = (
                short(printable(path.rpartition("/")[2])) for path in list(by_number.values())[:2]
            )
            return f"the numbers after {word!r} in names such as {first} and {second} may be a part of what they say"
    return ""


def _without_names(images: _Images, parts: dict[int, str]) -> set[int]:
    """Return the folders of parts, except that of training, in which no name says a class."""
    said: dict[int, set[str]] = defaultdict(set)
    for folder, word in set(zip(images.folders, images.said, strict=True)):
        said[folder].add(word)
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
