"""Names of folders, tables and cells that mean a part of the data: train, val or test."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable

TRAIN, VAL, HOLDOUT = "train", "val", "holdout"
# Images without labels, for predictions: no part of a split.
UNLABELLED = "unlabelled"
_WORDS = {
    **dict.fromkeys(("train", "training", "trainings", "trainval", "trn"), TRAIN),
    **dict.fromkeys(("val", "valid", "validation", "validate", "validating", "dev"), VAL),
    **dict.fromkeys(("test", "tests", "testing", "tst", "holdout", "eval", "evaluation"), HOLDOUT),
    **dict.fromkeys(("unlabelled", "unlabeled", "unannotated", "pred", "predict"), UNLABELLED),
    **dict.fromkeys(("inference", "prediction", "predictions", "submission", "submissions"), UNLABELLED),
    # Spanish, Portuguese, French, Italian, German, Dutch, Polish, Turkish, Russian, Chinese, Japanese, Korean; without
    # accents.
    **dict.fromkeys(("entrenamiento", "treino", "treinamento", "entrainement", "apprentissage"), TRAIN),
    **dict.fromkeys(("addestramento", "treningowy", "treningowe", "trening", "egitim", "обучение"), TRAIN),
    **dict.fromkeys(("обучающая", "训练", "訓練", "学習", "학습", "훈련"), TRAIN),
    **dict.fromkeys(
        ("validacion", "validacao", "validazione", "validierung", "validierungs", "validatie"), VAL
    ),
    **dict.fromkeys(
        ("walidacja", "walidacyjny", "dogrulama", "валидация", "验证", "驗證", "検証", "검증"), VAL
    ),
    **dict.fromkeys(
        ("prueba", "pruebas", "teste", "testes", "essai", "prova", "testowy", "testowe"), HOLDOUT
    ),
    **dict.fromkeys(("тест", "тестовая", "测试", "測試", "テスト", "테스트"), HOLDOUT),
}
# Words that say nothing: train_images, TestSet, val2017.
_NEUTRAL = (
    *("set", "sets", "data", "dataset", "image", "images", "img", "imgs", "picture", "pictures"),
    *("photo", "photos", "sample", "samples", "split", "folder", "part", "file", "files", "labels"),
    *(
        "of",
        "de",
        "shard",
        "metadata",
        "datos",
        "dados",
        "daten",
        "bilder",
        "imagenes",
        "imagens",
        "fotos",
        "foto",
    ),
    *("conjunto", "ensemble", "donnees", "dati", "immagini", "集", "数据集", "セット", "用"),
)
_COMPOUND = re.compile(f"(?:{'|'.join(_NEUTRAL)})?({'|'.join(_WORDS)})(?:{'|'.join(_NEUTRAL)})?")
_JOINERS = "\u200c\u200d"  # without and with a ligature, inside of words of Hindi and Persian
_BETWEEN_WORDS = re.compile(r"(?<=[a-z])(?=[A-Z])|[\W_]+|(?<=[^\W\d])(?=\d)|(?<=\d)(?=[^\W\d])")


def split_of(name: str) -> str:
    """Return "train", "val", "holdout" or "unlabelled" for a name such as Testing or train_images; else ""."""
    split, rest = _parsed(name)
    return "" if rest else split


def splits_among(names: Iterable[str]) -> dict[str, str]:
    """Return the part of each name that means one, of names that lie beside each other.

    Further words count only if they are shared, or if all names mean parts: seg_train means a part beside seg_test,
    but not beside seg_dog.
    """
    found = {name: _parsed(name) for name in names}
    kinds = set(found.values())
    shared = Counter(rest for split, rest in kinds if split)
    every = len(kinds) > 1 and all(split for split, _ in kinds)
    return {
        name: split
        for name, (split, rest) in found.items()
        if split and (not rest or every or shared[rest] > 1)
    }


def part_beside(name: str) -> str:
    """Return the part that a name means besides a class: "holdout" for cat_test, "" for test and cat."""
    split, rest = _parsed(name)
    return split if rest else ""


def class_in(name: str) -> str:
    """Return what a name says besides a part of a split: "cat" for train_cat, "" for train."""
    words = [word for word in _split(name) if not _COMPOUND.fullmatch(plain_word(word))]
    said = any(plain_word(word) not in _NEUTRAL and not word.isdigit() for word in words)
    return "_".join(words) if said else ""


def words_in(name: str) -> list[str]:
    """Return the words of a name in small letters without accents, apart at signs, numbers and capital letters."""
    return [plain_word(word) for word in _split(name)]


def marks_as_letters(text: str) -> str:
    """Return a text of the same length in which marks after letters are letters, as they are parts of words.

    Vowels of Thai and Hindi are such marks, and so are accents apart from their letters.
    """
    if text.isascii():
        return text
    found: list[str] = []
    for character in text:
        mark = character in _JOINERS or unicodedata.category(character).startswith("M")
        found.append("a" if mark and found and found[-1].isalpha() else character)
    return "".join(found)


def _split(name: str) -> list[str]:
    """Return the words of a name in composed letters."""
    name = unicodedata.normalize("NFC", name)
    ends = [found.span() for found in _BETWEEN_WORDS.finditer(marks_as_letters(name))]
    begins = [0, *(end for _, end in ends)]
    words = [
        name[begin:end] for begin, end in zip(begins, [*(begin for begin, _ in ends), len(name)], strict=True)
    ]
    return [word for word in words if word]


def plain_word(word: str) -> str:
    """Return a word in small letters without accents."""
    apart = unicodedata.normalize("NFD", word.lower())
    plain = "".join(character for character in apart if not "\u0300" <= character <= "\u036f")
    return unicodedata.normalize("NFC", plain)


def _parsed(name: str) -> tuple[str, tuple[str, ...]]:
    """Return the part that a name means, "" for none, and its other words without numbers.

    Of two words, "unlabelled" counts, and train_val is for training.
    """
    words = words_in(name)
    splits, rest = [], []
    for word in words:
        compound = _COMPOUND.fullmatch(word)
        if compound is not None:
            splits.append(_WORDS[compound[1]])
        elif not word.isdigit() and word not in _NEUTRAL:
            rest.append(word)
    said = set(splits)
    both = UNLABELLED if UNLABELLED in said else TRAIN if said == {TRAIN, VAL} else ""
    return (splits[0] if len(said) == 1 else both, tuple(rest))
