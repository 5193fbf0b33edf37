"""Decide what each folder of images is: a class, a part of a split, or neither."""

from __future__ import annotations

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from automl.data.sources.files.folder_kinds import (
    describes_others,
    in_letters_of_training,
    is_image_folder,
    lies_aside,
    listed,
    says_nothing,
    unwrap,
)
from automl.data.sources.files.split_names import (
    HOLDOUT,
    TRAIN,
    UNLABELLED,
    VAL,
    class_in,
    part_beside,
    split_of,
    splits_among,
)
from automl.errors import DataError

Folder = tuple[str, ...]
_PARTS = (TRAIN, VAL, HOLDOUT)


@dataclass(frozen=True)
class Roles:
    """`meanings[i]` is (class, split) of folder i, or None if its images are left out; `notes` say what was decided."""

    meanings: list[tuple[str, str] | None]
    notes: tuple[str, ...] = ()


@dataclass
class _Top:
    """A folder at the top: the folders in it, and whether images lie in it directly."""

    direct: bool = False
    below: set[str] = field(default_factory=set)


def read_roles(folders: Sequence[Folder], *, where: str) -> Roles:
    """Return the roles of the folders that hold images, each given by the parts of its path.

    CLASS/, SPLIT/CLASS/, CLASS/SPLIT/ and SPLIT_CLASS/ are known; SPLIT is any name of `split_names`. A single folder
    around everything is skipped. A folder named like a split beside class folders is a part of a split if it has class
    folders itself. Otherwise "train" is a class there and the others are left out. Raises DataError, which names
    `where`, if the roles contradict each other.
    """
    depth = _wrapper_depth(folders)
    opened = unwrap([folder[depth:] for folder in folders])
    chosen = [k for k, folder in enumerate(opened.folders) if folder is not None]
    within = [folder for folder in opened.folders if folder is not None]
    depth = _wrapper_depth(within) if opened.notes else 0
    found = _roles([folder[depth:] for folder in within], where)
    meanings: list[tuple[str, str] | None] = [None] * len(folders)
    for k, meaning in zip(chosen, found.meanings, strict=True):
        meanings[k] = meaning
    return Roles(meanings, (*opened.notes, *found.notes))


def _roles(inner: Sequence[Folder], where: str) -> Roles:
    tops = _tops(inner)
    beside_classes = _parts_beside_classes(inner, tops)
    if beside_classes is not None:
        return beside_classes
    splits = splits_among(tops)
    if not splits:
        return _classes_at_the_top(inner, tops)
    others = sorted(set(tops) - set(splits))
    nested = {top for top in splits if tops[top].below}
    if not others and not nested and all(class_in(name) for name in splits):
        return _classes_in_the_names(inner, tops, splits)
    if not others:
        return _split_folders(inner, tops, splits, {}, where)
    if not nested:
        return _flat_splits(inner, tops, splits, others, where)
    within = {name for top in nested for name in _stripped(top, tops, inner)}
    beside = set(others) & within or TRAIN not in splits.values()
    if beside:  # the class folders at the top are those of the training images
        return _split_folders(inner, tops, splits, dict.fromkeys(others, TRAIN), where)
    if len(splits) == 1 and all(tops[name].below for name in others):
        return _classes_at_the_top(inner, tops)  # train/steam beside car/sedan
    return _split_folders(inner, tops, splits, {}, where)


def _parts_beside_classes(inner: Sequence[Folder], tops: dict[str, _Top]) -> Roles | None:
    """Return the roles in cat/, dog/, cat_test/ and dog_test/; None unless two classes or more have such folders."""
    own = {
        name: (class_in(name), split)
        for name in tops
        if (split := part_beside(name)) and class_in(name) in tops
    }
    if len({said for said, _ in own.values()}) < 2 or any(map(split_of, tops)):
        return None
    meanings = [
        (_name(own[parts[0]][0]), own[parts[0]][1])
        if parts and parts[0] in own
        else (_name(parts[0]), TRAIN)
        if parts
        else None
        for parts in inner
    ]
    first = sorted(own)[0]
    told = f"{first}/ as the images of {own[first][0]!r} for {own[first][1]}"
    return Roles(
        _without_unlabelled(meanings),
        (f"Folders taken for parts of the classes beside them ({told}): {listed(own)}.",),
    )


def _classes_at_the_top(inner: Sequence[Folder], tops: dict[str, _Top]) -> Roles:
    """Return the roles in CLASS/, or in CLASS/SPLIT/ if each class has such folders, without images beside them."""
    within = {name: splits_among(top.below) for name, top in tops.items()}
    several = [name for name, splits in within.items() if {TRAIN} < set(splits.values())]
    if tops and len(several) == len(tops) > 1 and not any(top.direct for top in tops.values()):
        meanings = [
            (_name(parts[0]), within[parts[0]][parts[1]]) if parts and parts[1] in within[parts[0]] else None
            for parts in inner
        ]
        ignored = sorted(
            {"/".join(parts[:2]) for parts in inner if parts and parts[1] not in within[parts[0]]}
        )
        found = {name: split for splits in within.values() for name, split in splits.items()}
        deeper = _not_told_apart([parts for parts in inner if len(parts) > 2], 2)
        return Roles(_without_unlabelled(meanings), (_told(found), *_left_out(ignored), *deeper))
    meanings = [(_name(parts[0]), "") if parts else None for parts in inner]
    same = set.intersection(*_class_folders_in(tops, inner)) if len(tops) > 1 else set()
    notes = (
        [
            f"Taken for classes: {listed(tops)}; the folders in them are not used, though each has {listed(same)}: put "
            "these folders on top if they are the classes."
        ]
        if len(same) > 1
        else []
    )
    notes += () if notes else _not_told_apart(inner, 1)
    if sides := sorted(filter(describes_others, tops)):
        notes.append(
            f"Taken for classes, though the names may mean masks or labels of other images: {listed(sides)}."
        )
    if aside := sorted(filter(lies_aside, tops)):
        notes.append(f"Taken for classes, though the names may mean images of no class: {listed(aside)}.")
    if says_nothing(tops):
        notes.append(
            f"Taken for classes, though their names say nothing of what is in the images: {listed(tops)}."
        )
    odd = sorted(f"{name}/{split}" for name, splits in within.items() for split in splits)
    odd += [name for name in sorted(tops) if split_of(name)]
    if odd:
        notes.append(f"Named like parts of a split, but taken for classes: {listed(odd)}.")
    return Roles(meanings, tuple(notes))


def _classes_in_the_names(inner: Sequence[Folder], tops: dict[str, _Top], splits: dict[str, str]) -> Roles:
    """Return the roles of train_cat/, test_cat/, train_dog/ and test_dog/.

    A name means a part and a class if two classes or more are in the training images and in another part. Otherwise it
    is a class (train_station/ beside train_track/). Raises DataError for classes of a part that differ in signs alone,
    and for parts of one thing, such as box_train/ and box_test/.
    """
    parts_of: dict[str, set[str]] = defaultdict(set)
    for name, split in splits.items():
        parts_of[class_in(name)].add(split)
    if len(parts_of) == 1 and len(next(iter(parts_of.values()))) > 1:
        raise DataError(
            f"the folders {listed(sorted(splits))} must hold class folders to be parts of a split, but hold images: "
            "give the table of their labels, or move the images into class folders"
        )
    if sum(TRAIN in parts and len(parts) > 1 for parts in parts_of.values()) < 2:
        found = _classes_at_the_top(inner, tops)
        return Roles(found.meanings, (f"Taken for classes: {listed(sorted(splits))}.",))
    for said, same in Counter((class_in(name), split) for name, split in splits.items()).items():
        if same > 1:
            alike = [name for name, split in splits.items() if (class_in(name), split) == said]
            raise DataError(
                f"folders of a part must have different words, but {listed(alike)} would be one class: rename them, or "
                "put their images into one folder"
            )
    meanings = [(_name(class_in(parts[0])), splits[parts[0]]) if parts else None for parts in inner]
    first = sorted(splits)[0]
    told = f"{first}/ as the images of {class_in(first)!r} for {splits[first]}"
    return Roles(
        _without_unlabelled(meanings),
        (f"Names of folders taken for a part of a split and a class ({told}): {listed(sorted(splits))}.",),
    )


def _flat_splits(
    inner: Sequence[Folder], tops: dict[str, _Top], splits: dict[str, str], others: Sequence[str], where: str
) -> Roles:
    """Return the roles where folders named like splits hold images directly, beside other folders.

    Raises DataError if these may be the images of a table.
    """
    if len(splits) > 1 and TRAIN in splits.values():
        raise DataError(
            f"the folders {listed(sorted(splits))} in {where!r} must hold class folders to be parts of a split, but "
            f"hold images beside {listed(others)}: give the table of their labels, or move the images into class "
            "folders"
        )
    left = sorted(name for name, split in splits.items() if split != TRAIN)
    if len(tops) - len(left) < 2:
        return _classes_at_the_top(inner, tops)  # valid/ beside invalid/
    meanings = [(_name(parts[0]), "") if parts and parts[0] not in left else None for parts in inner]
    notes = []
    if left:
        notes.append(flat_note(left))
    notes += [f"Taken for a class: {name}." for name in splits if name not in left]
    return Roles(meanings, tuple(notes))


def _split_folders(
    inner: Sequence[Folder],
    tops: dict[str, _Top],
    splits: dict[str, str],
    classes: dict[str, str],
    where: str,
) -> Roles:
    """Return the roles in SPLIT/CLASS/, with the part of each class folder of `classes` at the top."""
    if TRAIN not in splits.values() and not classes:
        raise DataError(
            f"a folder with {listed(sorted(splits))} must have a train folder beside it, but {where!r} has none: "
            "add it"
        )
    skipped = {top: 1 + _wrapped(top, tops, inner) for top in splits}
    meanings: list[tuple[str, str] | None] = []
    used = {top for top, split in splits.items() if split == UNLABELLED}
    without_classes = {
        top for top, split in splits.items() if split != TRAIN and _has_no_classes(top, skipped[top], inner)
    }
    for parts in inner:
        top = parts[0] if parts else ""
        if top in splits and len(parts) > skipped[top] and top not in without_classes:
            used.add(top)
            meanings.append((_name(parts[skipped[top]]), splits[top]))
        else:
            meanings.append((_name(top), classes[top]) if top in classes else None)
    ignored = sorted({parts[0] for parts in inner if parts} - set(splits) - set(classes))
    meanings = _without_unlabelled(meanings)
    renamed = in_letters_of_training(meanings)
    _require_trained(meanings, where)
    told = _told({top: split for top, split in splits.items() if top in used})
    if classes:
        told = f"{told[:-1]}; class folders beside them as train: {listed(sorted(classes))}."
    bare = sorted(set(splits) - used)
    without = (bare_note(bare),) if bare else ()
    deeper = _not_told_apart(
        [parts for parts in inner if parts and parts[0] in used], 1 + max(skipped.values())
    )
    return Roles(meanings, (told, *renamed, *without, *_left_out(ignored), *deeper))


def bare_note(names: Iterable[str]) -> str:
    """Return the note on parts of a split without class folders."""
    return f"Left out, as no class folders are in it: {listed(names)}."


def flat_note(names: Iterable[str]) -> str:
    """Return the note on folders of images beside class folders, which may be parts of a split."""
    return (
        f"Left out, as the name means a part of a split and no class folders are in it: {listed(names)}; rename it if "
        "it is a class."
    )


def _has_no_classes(top: str, depth: int, inner: Sequence[Folder]) -> bool:
    """Return whether all in a part lies in one folder called images, or like a part: val/images, test/test."""
    names = {parts[depth] for parts in inner if parts[:1] == (top,) and len(parts) > depth}
    return len(names) == 1 and all(is_image_folder(name) or split_of(name) for name in names)


def _not_told_apart(inner: Sequence[Folder], depth: int) -> tuple[str, ...]:
    """Return a note on the folders at a depth, or below single ones, of which several lie in one class folder."""
    below: dict[Folder, list[Folder]] = defaultdict(list)
    for parts in inner:
        below[parts[:depth]].append(parts)
    inside = [path for around, folders in below.items() for path in _first_apart(folders, len(around))]
    return (f"Folders inside of class folders are not told apart: {listed(inside)}.",) if inside else ()


def _first_apart(folders: Sequence[Folder], depth: int) -> list[str]:
    """Return the paths of the first folders in a class folder that are several beside each other."""
    while True:
        names = {parts[depth] for parts in folders if len(parts) > depth}
        if len(names) != 1:
            return [
                "/".join(parts) for parts in {parts[: depth + 1] for parts in folders if len(parts) > depth}
            ]
        depth += 1


def _class_folders_in(tops: dict[str, _Top], inner: Sequence[Folder]) -> list[set[str]]:
    """Return the folders in each one at the top, or in the only folder images there."""
    deeper: dict[str, set[str]] = defaultdict(set)
    for parts in inner:
        if len(parts) > 2:
            deeper[parts[0]].add(parts[2])
    within = {
        name for name, top in tops.items() if len(top.below) == 1 and all(map(is_image_folder, top.below))
    }
    return [deeper[name] if name in within else top.below for name, top in tops.items()]


def _require_trained(meanings: Sequence[tuple[str, str] | None], where: str) -> None:
    """Raise DataError if the training images are of one class, and those of the other parts are not."""
    trained = {found[0] for found in meanings if found and found[1] == TRAIN}
    others = sorted({found[0] for found in meanings if found} - trained)
    if len(trained) == 1 and others:
        raise DataError(
            f"the training images must be of 2 classes or more, but the train folder in {where!r} holds only "
            f"{listed(sorted(trained))}, while {listed(others)} are in other parts: move images of each class into "
            "it, or put all class folders beside each other, without train and test"
        )


def _told(splits: dict[str, str]) -> str:
    """Return which folders were taken for which parts."""
    by_part: dict[str, list[str]] = defaultdict(list)
    for name, split in sorted(splits.items()):
        by_part[split].append(f"{name}/")
    said = [f"{listed(by_part[part])} as {part}" for part in _PARTS if part in by_part]
    left = f"; without labels: {listed(by_part[UNLABELLED])}" if UNLABELLED in by_part else ""
    return f"Folders taken for parts of a split: {', '.join(said)}{left}."


def _left_out(names: Sequence[str]) -> tuple[str, ...]:
    return (f"Folders beside them ignored: {listed(names)}.",) if names else ()


def _without_unlabelled(meanings: Sequence[tuple[str, str] | None]) -> list[tuple[str, str] | None]:
    return [None if found is None or found[1] == UNLABELLED else found for found in meanings]


def _tops(inner: Sequence[Folder]) -> dict[str, _Top]:
    tops: dict[str, _Top] = defaultdict(_Top)
    for parts in inner:
        if not parts:
            continue
        if len(parts) == 1:
            tops[parts[0]].direct = True
        else:
            tops[parts[0]].below.add(parts[1])
    return dict(tops)


def _stripped(top: str, tops: dict[str, _Top], inner: Sequence[Folder]) -> set[str]:
    """Return the class folders in the folder of a split."""
    depth = 1 + _wrapped(top, tops, inner)
    return {parts[depth] for parts in inner if parts and parts[0] == top and len(parts) > depth}


def _wrapped(top: str, tops: dict[str, _Top], inner: Sequence[Folder]) -> int:
    """Return 1 if a single folder lies around the classes of a split (seg_train/seg_train/CLASS), else 0."""
    below = tops[top].below
    if tops[top].direct or len(below) != 1:
        return 0
    only = next(iter(below))
    alike = only == top or bool(split_of(only)) or only.lower() in ("images", "imgs", "data")
    deeper = {parts[2] for parts in inner if parts[:2] == (top, only) and len(parts) > 2}
    return int(alike and len(deeper) > 1)


def _wrapper_depth(folders: Sequence[Folder]) -> int:
    """Return how many folders lie around everything: 0 unless class or split folders lie in the last one."""
    depth = 0
    while True:
        tops = {parts[depth] for parts in folders if len(parts) > depth}
        direct = any(len(parts) == depth for parts in folders)
        if len(tops) > 1 or any(split_of(top) for top in tops):
            return depth
        if not tops or direct:
            return 0
        depth += 1


def _name(folder: str) -> str:
    return unicodedata.normalize("NFC", folder)
