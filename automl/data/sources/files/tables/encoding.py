"""Find the encoding of the text in a table, and say which it is."""

from __future__ import annotations

import posixpath
import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from itertools import islice

from automl.data.sources.base import counted
from automl.errors import DataError
from automl.terminal.printable import short

Names = Callable[[], Iterable[str]]
_WESTERN, _CENTRAL_EUROPEAN = "Windows-1252", "Windows-1250"
# What Python calls them. The first one wins where the names of files fit several.
_ENCODINGS = {
    _WESTERN: "cp1252",
    "Windows-1251": "cp1251",
    "KOI8-R": "koi8-r",
    _CENTRAL_EUROPEAN: "cp1250",
    "Windows-1253": "cp1253",
    "Windows-1255": "cp1255",
    "Windows-1256": "cp1256",
    "Windows-874": "cp874",
    "Shift-JIS": "cp932",
    "GBK": "gb18030",
    "EUC-KR": "cp949",
    "Big5": "big5",
    "EUC-JP": "euc_jp",
}
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
_MOST_NAMES = 200  # of files that are looked for in a table
_MOST_SHOWN = 6  # readings
_LOST, _TIMES_LOST = "\ufffd", 5  # a character that cannot be read; how many others UTF-8 has beside it
_OUTSIDE = r"[^\x00-\x7f]"
_MARKS = ',;\t|\r\n"'  # around a cell
# What Windows-1252 has and western texts hardly: first bytes in Shift-JIS, and letters of Polish.
_RARE = frozenset("\u201a\u0192\u2020\u2021\u02c6\u2030\u2039\u203a\u02dc\ufffd")
_SIGN_IN_WORD = re.compile("[\u00b9\u00b3\u00bf][A-Za-z]")
# Dashes, quotation marks, full width.
_SIGN = re.compile(r"[\u00a0-\u00bf\u2010-\u203a\u2116\u3000-\u3002\uff01-\uff5e]")
_QUOTES = "\u00ab\u00bb\u2013\u2014\u2018\u2019\u201c\u201d\u201e\u2026\u2116"  # and dashes, around words
_BESIDE_LATIN = re.compile(f"[A-Za-z]{_OUTSIDE}|{_OUTSIDE}[A-Za-z]")
_KANA = re.compile(r"[\u3041-\u30fe]")
_CYRILLIC = re.compile(
    r"[\u0410-\u044f\u0401\u0404\u0406\u0407\u040e\u0451\u0454\u0456\u0457\u045e\u0490\u0491]+"
)
_ACCENTS = frozenset("\u03ac\u03ad\u03ae\u03af\u03cc\u03cd\u03ce")
_THAI_VOWEL = re.compile(r"[\u0e2d\u0e30-\u0e3a\u0e40-\u0e45]")
# The most frequent letters, and their least share: in half of all text, and in a few words.
_RUSSIAN, _FREQUENT_SHARE = frozenset("оеаинтсрвлі"), 0.4
_FREQUENT = {"Windows-1251": _RUSSIAN, "KOI8-R": _RUSSIAN, "Windows-1256": frozenset("اليومنرتبة")}
# The words of a script. Greek has no rare letters with two accents, Hebrew final letters at ends alone, and Thai marks
# after letters.
_WORDS = {
    "Windows-1251": _CYRILLIC,
    "KOI8-R": _CYRILLIC,
    "Windows-1253": re.compile(r"[\u0386-\u038f\u0391-\u03af\u03b1-\u03ce]+"),
    "Windows-1255": re.compile(
        r"[\u05d0-\u05d9\u05db\u05dc\u05de\u05e0-\u05e2\u05e4\u05e6-\u05ea]*[\u05d0-\u05ea]"
    ),
    "Windows-1256": re.compile(r"[\u0621-\u063a\u0641-\u064a\u067e\u0686\u0698\u06a9\u06af]+"),
    "Windows-874": re.compile(
        r"(?:[\u0e01\u0e02\u0e04\u0e06-\u0e2e\u0e40-\u0e44][\u0e30-\u0e3a\u0e45\u0e47-\u0e4e]{0,3})+"
    ),
}
# Letters beyond ASCII of Polish; Czech and Slovak; Hungarian; Croatian and Slovene; Romanian.
_CENTRAL = ("ąćęłńóśźż", "áäčďéěíĺľňóôŕřšťúůýž", "áéíóöőúüű", "čćđšž", "ăâîşţ")
# The same of western languages: German, French, Spanish, Portuguese, Italian, Catalan, Danish and Norwegian, Swedish,
# Icelandic, Estonian and Finnish, Dutch, Irish, Gaelic, Welsh.
_WESTERN_LETTERS = (
    "äöüßéàè",
    "àâæçéèêëîïôœùûüÿñ",
    "áéíóúüñçªº",
    "àáâãçéêíóôõúüªº",
    "àèéìîòóù",
    "àçèéíïòóúüñ",
) + (
    *(
        "æøåäöüéèêàóòôâ",
        "åäöéèàáüæø",
        "áéíóúýþæöðø",
        "äöåõüšžé",
        "àäçéèêëïîôöüû",
        "áéíóú",
        "àèìòù",
        "âêîôûëïöä",
    ),
)
# Signs of Windows-1252 beside letters, as no western language has them: they are letters in Windows-1250.
_ODD_SIGN = re.compile(
    "[^\\W\\d_][\u00a3\u00a5\u00af\u00bc\u00be\u00bf\ufffd]|[\u00a3\u00a5\u00af\u00b3\u00b9\ufffd][a-z\u00df-\u00ff]"
)
# Whole cells that decide between encodings of Asian languages, of which two characters or more must be there.
_KOREAN = """
고양이 강아지 개 말 소 새 닭 돼지 양 토끼 곰 사자 호랑이 원숭이 물고기 사람 남자 여자 남 여 아이
꽃 나무 사과 바나나 자동차 차 정상 비정상 불량 양품 양호 결함 암 양성 음성 악성 질병 병
이미지 사진 그림 파일 파일명 파일이름 이름 라벨 레이블 정답 클래스 분류 종류
품종 번호 환자 나이 성별 값 점수 기타 없음 있음 예 아니오 앞 뒤 위 아래
"""
_CHINESE = """
猫 狗 马 牛 鸟 鸡 鸭 猪 羊 兔子 熊 狮子 老虎 猴子 鱼 人 男 女 男人 女人 孩子 花 树 苹果 香蕉 汽车 车 猫咪 小狗 小猫
正常 异常 不正常 合格 不合格 良品 不良品 缺陷 良性 恶性 阳性 阴性 疾病 病
图片 图像 照片 文件 文件名 名称 标签 类别 分类 种类 品种
编号 序号 患者 年龄 性别 值 分数 其他 无 有 是 否 前 后 上 下 路径
"""
_TRADITIONAL = """
貓 狗 馬 牛 鳥 雞 鴨 豬 羊 魚 人 男 女 花 樹 車 正常 異常 合格 不合格 良品
圖片 圖像 照片 檔案 檔名 名稱 標籤 類別 分類 編號
"""
_JAPANESE = """
猫 犬 馬 牛 鳥 鶏 豚 魚 人 男 女 花 木 車 ネコ イヌ ねこ いぬ 正常 異常 良品 不良品 不良 合格 不合格 良性 悪性 陽性 陰性
画像 写真 ファイル ファイル名 名前 ラベル クラス 分類 種類 品種 番号 患者 年齢 性別 値 その他 なし あり
"""
_CELLS = {
    "EUC-KR": frozenset(_KOREAN.split()),
    "GBK": frozenset(_CHINESE.split()),
    "Big5": frozenset(_TRADITIONAL.split()),
    **dict.fromkeys(("Shift-JIS", "EUC-JP"), frozenset(_JAPANESE.split())),
}
_LEAST_KNOWN = 2  # characters
# First bytes of common characters, the last first byte of others, and the least second byte.
_LEADS = {
    "Shift-JIS": (0x88, 0x98, 0xEA, 0x40),
    "GBK": (0xB0, 0xD7, 0xF7, 0xA1),
    "EUC-KR": (0xB0, 0xC8, 0xC8, 0xA1),
    "Big5": (0xA4, 0xC6, 0xC6, 0x40),
    "EUC-JP": (0xB0, 0xCF, 0xCF, 0xA1),
}


def decoded(name: str, content: bytes, note: list[str], names: Names | None = None) -> str:
    """Return the text of a file, and add a note with its encoding unless it is UTF-8.

    Text that is neither UTF-8 nor UTF-16 is in the encoding in which it has the `names` of files that are there. If it
    has none of them, it is Windows-1252, of which Latin-1 is a part, where most letters beyond ASCII stand alone, as in
    western languages; or Windows-1250, if all letters are those of one language of Central Europe, and those of a cell
    belong to no western one. Otherwise it is the only encoding in which all letters are common ones of one script, or
    in which cells are usual words of a language. Raises DataError where there are several or none, and for binary
    files.
    """
    wide = utf_16(content)
    if wide is not None:
        note.append(f"{name} was read as UTF-16.")
        return wide
    if b"\0" in content:
        raise DataError(
            f"a manifest must be a readable table, but {name!r} is not (it holds bytes of zero, so it is no text or is "
            "damaged): save it again as UTF-8"
        )
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return _in_other_encoding(name, content, note, names)


def _in_other_encoding(name: str, content: bytes, note: list[str], names: Names | None) -> str:
    known = _by_names(content, islice(_non_ascii(names() if names else ()), _MOST_NAMES))
    if known:
        text = content.decode(_ENCODINGS[known], "replace" if known == _WESTERN else "strict")
        note.append(
            f"{name} is not UTF-8, and was read as {known}, in which it has the names of the files "
            f"({short(_example(text))!r})."
        )
        return text
    text = content.decode("utf-8", "replace")
    lost = text.count(_LOST)
    if len(re.findall(_OUTSIDE, text)) > _TIMES_LOST * lost:
        note.append(f"{name} is UTF-8, but {counted(lost, 'character')} in it cannot be read: save it again.")
        return text
    text = content.decode(_ENCODINGS[_WESTERN], "replace")
    central = _strict(content, _CENTRAL_EUROPEAN)
    if central is not None and _is_central(text, central):
        return _told(name, _CENTRAL_EUROPEAN, central, note)
    if _is_western(text):
        return _told(name, "Windows-1252 (Latin-1)", text, note)
    readings = {kind: found for kind in _ENCODINGS if (found := _strict(content, kind)) is not None}
    clean = [kind for kind, text in readings.items() if _is_clean(kind, text)]
    chosen = clean[0] if len(clean) == 1 else _by_words(readings)
    if chosen:
        return _told(name, chosen, readings[chosen], note)
    raise DataError(_unclear(name, {kind: readings[kind] for kind in clean or readings}))


def _told(name: str, kind: str, text: str, note: list[str]) -> str:
    note.append(
        f"{name} is not UTF-8, and was read as {kind}, in which a cell is {short(_example(text))!r}: save it as UTF-8 "
        "if names look wrong."
    )
    return text


def utf_16(content: bytes) -> str | None:
    """Return the text of UTF-16; without its mark, the first line must be ASCII."""
    if content.startswith(_UTF_16):
        return content.decode("utf-16")
    if b"\0" not in content[:4]:
        return None
    for encoding in ("utf-16-le", "utf-16-be"):
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        first = text.split("\n", 1)[0].rstrip("\r").replace("\t", " ")
        if first.isascii() and first.isprintable():
            return text
    return None


def _non_ascii(paths: Iterable[str]) -> Iterable[str]:
    """Return the different names of files, without extension, and of folders that have letters beyond ASCII."""
    seen: set[str] = set()
    for path in paths:
        for name in () if path.isascii() else posixpath.splitext(path)[0].split("/"):
            if not name.isascii() and name not in seen:
                seen.add(name)
                yield unicodedata.normalize("NFC", name)


def _by_names(content: bytes, stems: Iterable[str]) -> str:
    """Return the encoding in which most names occur in a text; "" if none does."""
    looked_for = list(stems)
    best, most = "", 0
    for kind, codec in _ENCODINGS.items():
        found = sum(_encoded(stem, codec) in content for stem in looked_for)
        if found > most and (kind == _WESTERN or _strict(content, kind) is not None):
            best, most = kind, found
    return best


def _encoded(stem: str, codec: str) -> bytes:
    """Return the bytes of a name; for one that the encoding does not have, bytes that are in no table."""
    try:
        return stem.encode(codec)
    except UnicodeEncodeError:
        return b"\0"


def _strict(content: bytes, kind: str) -> str | None:
    try:
        return content.decode(_ENCODINGS[kind])
    except UnicodeDecodeError:
        return None


def _is_western(text: str) -> bool:
    """Return whether most letters beyond ASCII stand alone or in pairs, as accents in western languages do."""
    runs = re.findall(f"{_OUTSIDE}+", text)
    odd = sum(len(run) > 2 or (len(run) == 2 and not run.isalpha()) or bool(_RARE & set(run)) for run in runs)
    return 2 * (odd + len(_SIGN_IN_WORD.findall(text))) < len(runs)


def _by_words(readings: dict[str, str]) -> str:
    """Return the only reading that has usual words of its language as cells; "" if none has, or several."""
    found = [
        kind
        for kind, text in readings.items()
        if sum(map(len, _CELLS.get(kind, frozenset()) & set(re.split(f"[{_MARKS}]", text)))) >= _LEAST_KNOWN
    ]
    return found[0] if len(found) == 1 else ""


def _is_central(western: str, central: str) -> bool:
    """Return whether one language of Central Europe has all letters of a text, and a cell fits no western one.

    The whole text need not fit one: a table may hold words of several languages.
    """
    if not any(_letters(central) <= set(language) for language in _CENTRAL):
        return False
    if _ODD_SIGN.search(western):
        return True
    if any(_letters(western) <= set(language) for language in _WESTERN_LETTERS):
        return False
    cells = {cell for cell in re.split(f"[{_MARKS}]", western) if not cell.isascii()}
    return any(not any(_letters(cell) <= set(language) for language in _WESTERN_LETTERS) for cell in cells)


def _letters(text: str) -> set[str]:
    return {letter for letter in set(text.lower()) if not letter.isascii() and letter.isalpha()}


def _is_clean(kind: str, text: str) -> bool:
    """Return whether all letters beyond ASCII are common ones of the script of an encoding, in words that can be."""
    runs = [run for found in re.findall(f"{_OUTSIDE}+", text) if (run := found.strip(_QUOTES))]
    if kind == _CENTRAL_EUROPEAN:
        letters = set("".join(runs).lower())
        single = all(len(run) < 3 for run in runs)
        return single and any(letters <= set(language) for language in _CENTRAL)
    if not runs:
        return False
    return _are_words(kind, runs, text) if kind in _WORDS else kind in _LEADS and _are_common(kind, runs)


def _are_words(kind: str, runs: Sequence[str], text: str) -> bool:
    """Return whether runs of letters are words of an alphabet, most of their letters frequent ones.

    They are not beside Latin letters, and have no capitals inside.
    """
    if _BESIDE_LATIN.search(text) or not all(_WORDS[kind].fullmatch(run) for run in runs):
        return False
    if not all(run in (run.lower(), run.upper(), run[0].upper() + run[1:].lower()) for run in runs):
        return False
    if kind in _FREQUENT:
        letters = "".join(runs)
        if kind == "KOI8-R" and letters == letters.upper():
            return False  # in small letters, it is Windows-1251
        letters = letters.lower()
        return sum(letter in _FREQUENT[kind] for letter in letters) >= _FREQUENT_SHARE * len(letters)
    # Nearly every Greek word has one accent, and a Thai one a sign of a vowel.
    long = [run for run in runs if len(run) > 2]
    if kind == "Windows-1253":
        return all(sum(letter in _ACCENTS for letter in run.lower()) == 1 for run in long)
    return kind != "Windows-874" or all(_THAI_VOWEL.search(run) for run in long)


def _are_common(kind: str, runs: Sequence[str]) -> bool:
    """Return whether most characters are those that the standard of an encoding lists first, which are frequent."""
    found = set(_SIGN.sub("", "".join(runs)))
    kana = set(filter(_KANA.match, found))
    if kana and kind not in ("Shift-JIS", "EUC-JP"):
        return False
    found -= kana
    low, common, last, trail = _LEADS[kind]
    pairs = [character.encode(_ENCODINGS[kind]) for character in found]
    fits = all(len(pair) == 2 and low <= pair[0] <= last and pair[1] >= trail for pair in pairs)
    return fits and 2 * sum(pair[0] <= common for pair in pairs) >= len(pairs) + bool(pairs)


def _example(text: str) -> str:
    """Return the first cell with a letter beyond ASCII."""
    found = re.search(_OUTSIDE, text)
    if found is None:
        return ""
    begin = 1 + max(text.rfind(mark, 0, found.start()) for mark in _MARKS)
    ends = [end for mark in _MARKS if (end := text.find(mark, found.start())) >= 0]
    return text[begin : min(ends, default=len(text))].strip()


def _unclear(name: str, readings: dict[str, str]) -> str:
    shown = ", ".join(
        f"in {kind} {short(_example(text))!r}" for kind, text in list(readings.items())[:_MOST_SHOWN]
    )
    shown = shown or "unreadable"
    kind = next(iter(readings), "")
    how = f" (`iconv -f {_ENCODINGS[kind].upper()} -t UTF-8`)" if kind else ""
    return (
        f"a table must be UTF-8, but {name!r} is not, and its encoding is not clear: a cell would be "
        f"{shown}; save it as UTF-8{how}"
    )
