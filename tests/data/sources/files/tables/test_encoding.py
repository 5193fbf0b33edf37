"""The encoding of text in tables."""

from __future__ import annotations

from pathlib import Path

import pytest

from automl.data.sources import open_source
from automl.data.sources.files.tables.encoding import decoded
from automl.errors import DataError
from tests.data.conftest import images_at


@pytest.mark.parametrize(
    ("text", "codec", "kind"),
    [
        ("кошка,Собака", "cp1251", "Windows-1251"),
        ("кошка,Собака", "koi8-r", "KOI8-R"),
        ("σκύλος,γάτα", "cp1253", "Windows-1253"),
        ("здоровый,больной", "cp1251", "Windows-1251"),
        ("норма,патология", "koi8-r", "KOI8-R"),
        ("ВЕРХ,НИЗ,СЛЕВА", "cp1251", "Windows-1251"),
        ("חתול,כלב", "cp1255", "Windows-1255"),
        ("قطة,كلب", "cp1256", "Windows-1256"),
        ("ねこ,いぬ", "cp932", "Shift-JIS"),
        ("猫の写真,犬の写真", "cp932", "Shift-JIS"),
        ("ネコ,イヌ", "cp932", "Shift-JIS"),
        ("猫咪,小狗", "gbk", "GBK"),
        ("貓咪,小狗", "big5", "Big5"),
        ("แมว,หมาป่า", "cp874", "Windows-874"),
        ("łoś,żubr", "cp1250", "Windows-1250"),
        ("kočka domácí,křeček", "cp1250", "Windows-1250"),
        ("Šťáva,pes", "cp1250", "Windows-1250"),  # a byte that Windows-1252 does not have
        ("broască țestoasă".replace("ț", "ţ"), "cp1250", "Windows-1250"),
        ("češljić,pas", "cp1250", "Windows-1250"),
        ("hűtő,kályha", "cp1250", "Windows-1250"),
        ("jeż,kot", "cp1250", "Windows-1250"),
        ("Łódź,Poznań", "cp1250", "Windows-1250"),
        ("고양이,개", "cp949", "EUC-KR"),
        ("정상,불량", "cp949", "EUC-KR"),
        ("猫,狗", "gbk", "GBK"),
        ("正常,异常", "gbk", "GBK"),
        ("貓,狗", "big5", "Big5"),
        ("ネコ,イヌ", "euc_jp", "EUC-JP"),
        ("Crème,Smørrebrød", "cp1252", "Windows-1252"),
        ("São Paulo,Málaga,Köln,Tromsø,Québec", "cp1252", "Windows-1252"),
        ("õun,täht,öö", "cp1252", "Windows-1252"),
        ("25 m³,5 £,naïve café", "cp1252", "Windows-1252"),
        ("Größe,Käse", "cp1252", "Windows-1252"),
        ("ação,25 °C", "latin-1", "Windows-1252"),
        ("кошка,собака", "utf-16-le", ""),
    ],
)
def test_encoding_in_which_all_letters_are_common_is_taken_and_told(text: str, codec: str, kind: str) -> None:
    whole = f"image,label\n{text}\n"
    note: list[str] = []
    assert decoded("x.csv", whole.encode(codec), note) == whole
    told = f"x.csv is not UTF-8, and was read as {kind}" if kind else "x.csv was read as UTF-16."
    assert len(note) == 1 and note[0].startswith(told)
    assert not kind or repr(text.split(",")[0]) in note[0]


@pytest.mark.parametrize(
    ("text", "codec", "said"),
    [
        (
            "草,苗",
            "gbk",
            ".*in GBK '草', in EUC-KR '.', in Big5 '.', in EUC-JP '.'; save it as UTF-8 .`iconv -f .* -t UTF-8`",
        ),
        ("다람쥐,거미", "cp949", ".*in GBK '.*', in EUC-KR '다람쥐'"),
        ("ヘビ,カメ", "euc_jp", ".*in Big5 '.*', in EUC-JP 'ヘビ'"),
    ],
)
def test_encoding_that_is_not_clear_is_refused_with_its_readings(text: str, codec: str, said: str) -> None:
    with pytest.raises(
        DataError, match=f"'x.csv' is not, and its encoding is not clear: a cell would be {said}"
    ):
        decoded("x.csv", f"image,label\n{text}\n".encode(codec), [])


@pytest.mark.parametrize(
    ("names", "codec", "kind"),
    [
        (("кот", "пёс"), "cp1251", "Windows-1251"),
        (("猫", "狗"), "gbk", "GBK"),
        (("고양이", "개"), "cp949", "EUC-KR"),
        (("łoś", "żubr"), "cp1250", "Windows-1250"),
        (("café", "thé"), "cp1252", "Windows-1252"),
    ],
)
@pytest.mark.parametrize("table", ["labels.csv", "labels.txt"])
def test_encoding_in_which_a_table_names_the_files_that_are_there_is_taken(
    tmp_path: Path, names: tuple[str, str], codec: str, kind: str, table: str
) -> None:
    images_at(tmp_path, [f"{name}.png" for name in names])
    header = "image,label\n" if table.endswith("csv") else ""
    text = header + "".join(f"{name}.png,{name}\n" for name in names)
    (tmp_path / table).write_bytes(text.encode(codec))
    for data in (tmp_path, tmp_path / table):
        source = open_source(data)
        assert set(source.classes) == set(names)
        assert sorted(source.files) == sorted(f"{name}.png" for name in names)
        told = f"was read as {kind}, in which it has the names of the files ('{names[0]}.png')"
        assert any(told in note for note in source.notes)


def test_names_of_folders_in_a_table_decide_too(tmp_path: Path) -> None:
    names = [f"{kind}/{k}.png" for kind in ("kočka", "pes") for k in range(2)]
    images_at(tmp_path, names)
    text = "image,label\n" + "".join(f"{name},{name.partition('/')[0]}\n" for name in names)
    (tmp_path / "labels.csv").write_bytes(text.encode("cp1250"))
    source = open_source(tmp_path)
    assert (source.classes, list(source.files)) == (("kočka", "pes"), names)


def test_utf8_with_a_damaged_byte_stays_utf8_and_is_told() -> None:
    whole = "image,label\n1.png,кошка\n2.png,собака\n".encode()
    note: list[str] = []
    assert decoded("x.csv", whole + b"3.png,\xff\n", note).endswith("собака\n3.png,\ufffd\n")
    assert note == ["x.csv is UTF-8, but 1 character in it cannot be read: save it again."]
