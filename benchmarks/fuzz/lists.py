"""Files that say the labels, the parts and the names of images beside them, in the forms of many programs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks.fuzz.pictures import CLASSES, EACH, members, written

_NAMES = [path for path, _ in members()]
_LABELS = [path.split("/")[0] for path in _NAMES]
# Names of two classes in languages whose tables are often in another encoding than UTF-8.
_WORDS = {
    "cp1250": ("źrebię", "pająk"),
    "cp1251": ("кошка", "собака"),
    "koi8-r": ("кошка", "собака"),
    "cp1252": ("chaton gâté", "château"),
    "cp1253": ("γάτα", "σκύλος"),
    "cp1255": ("חתול", "כלבים"),
    "cp1256": ("قطة", "كلاب"),
    "cp874": ("แมวน้ำ", "สุนัขป่า"),
    "cp932": ("ネコ", "正常"),
    "euc_jp": ("ネコ", "イヌ"),
    "gb18030": ("正常", "缺陷"),
    "big5": ("貓咪", "正常"),
    "cp949": ("고양이", "강아지"),
    "utf-16": ("кошка", "собака"),
    "utf-16-le": ("猫", "狗"),
    "utf-8-sig": ("猫", "狗"),
}


def xml(folder: Path) -> list[Path]:
    """Write Pascal VOC's folders, in several encodings, and CVAT's file; the folder of the data is two above each."""
    flat = {
        f"{label}{k}.png": data for k, (label, (_, data)) in enumerate(zip(_LABELS, members(), strict=True))
    }
    files = {f"voc/JPEGImages/{name}": data for name, data in flat.items()}
    files |= {f"cvat/images/{name}": data for name, data in flat.items()}
    marks = [
        ("utf-8", "utf-8"),
        ("gbk", "gb18030"),
        ("shift_jis", "cp932"),
        ("iso-8859-1", "latin-1"),
        ("utf-16", "utf-16"),
    ]
    said = {}
    for k, (name, label) in enumerate(zip(flat, _LABELS, strict=True)):
        declared, codec = marks[k % len(marks)]
        two = "<object><name>dog</name></object>" if k % 4 == 0 else ""
        said[f"voc/Annotations/{name[:-4]}.xml"] = (
            f'<?xml version="1.0" encoding="{declared}"?>\n<annotation>\n  <folder>JPEGImages</folder>\n'
            f"  <filename>{name}</filename>\n  <size><width>24</width><height>24</height><depth>3</depth></size>\n"
            f"  <object>\n    <name>{label}</name>\n    <bndbox><xmin>1</xmin><ymax>20</ymax></bndbox>\n  </object>\n"
            f"  {two}\n</annotation>\n"
        ).encode(codec)
    images = "".join(
        f'  <image id="{k}" name="{name}" width="24" height="24">\n    <tag label="{label}" source="manual"></tag>\n'
        f'    <box label="dog" xtl="1.5" ytl="2"><attribute name="a">1</attribute></box>\n  </image>\n'
        for k, (name, label) in enumerate(zip(flat, _LABELS, strict=True))
    )
    head = '<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n  <version>1.1</version>\n'
    said["cvat/annotations/annotations.xml"] = f"{head}{images}</annotations>\n".encode()
    written(folder, files | said)
    some = [folder / path for path in said if path.startswith("voc")][: len(marks)]
    return [*some, *[folder / "cvat/annotations/annotations.xml"] * 4]


def exports(folder: Path) -> list[Path]:
    """Write what Label Studio, FiftyOne, COCO and others write; each in a folder with its images."""
    flat = [f"{k}.png" for k in range(len(_NAMES))]
    tasks = [
        {
            "id": k,
            "data": {"image": f"/data/upload/1/{name}"},
            "annotations": [
                {"was_cancelled": False, "result": [{"type": "choices", "value": {"choices": [label]}}]}
            ],
        }
        for k, (name, label) in enumerate(zip(flat, _LABELS, strict=True))
    ]
    numbers = {name[:-4]: CLASSES.index(label) for name, label in zip(flat, _LABELS, strict=True)}
    coco = {
        "images": [{"id": k, "file_name": name, "width": 24, "height": 24} for k, name in enumerate(flat)],
        "annotations": [
            {
                "id": k,
                "image_id": k,
                "category_id": 1 + CLASSES.index(label),
                "bbox": [1, 1, 9, 9],
                "iscrowd": 0,
            }
            for k, label in enumerate(_LABELS)
        ],
        "categories": [{"id": k + 1, "name": name, "supercategory": ""} for k, name in enumerate(CLASSES)],
    }
    rows = [{"image": name, "label": label} for name, label in zip(flat, _LABELS, strict=True)]
    forms: dict[str, Any] = {
        "studio/project-1-at-2024-01-02-abc.json": tasks,
        "fiftyone/labels.json": {"classes": list(CLASSES), "labels": numbers},
        "coco/annotations.json": coco,
        "named/labels.json": {row["image"]: {"label": row["label"]} for row in rows},
        "classes/labels.json": {
            label: [row["image"] for row in rows if row["label"] == label] for label in CLASSES
        },
        "columns/labels.json": {"image": dict(enumerate(flat)), "label": dict(enumerate(_LABELS))},
        "parts/labels.json": {"train": rows[:8], "val": rows[8:10], "test": rows[10:]},
        "pairs/labels.json": [
            [name, CLASSES.index(label), label] for name, label in zip(flat, _LABELS, strict=True)
        ],
    }
    for path in forms:
        place = (
            "data/"
            if path.startswith("fiftyone")
            else "images/"
            if path.startswith(("studio", "coco"))
            else ""
        )
        written(
            folder / path.split("/")[0],
            {f"{place}{name}": data for name, (_, data) in zip(flat, members(), strict=True)},
        )
    return written(folder, {path: json.dumps(said).encode() for path, said in forms.items()})


def splits(folder: Path) -> list[Path]:
    """Write lists, JSON and tables of the parts of a split, two below each folder with its images."""
    stems = [name[:-4] for name in _NAMES]
    test = {0, 1, EACH, EACH + 1}
    part = ["test" if k in test else "train" for k in range(len(_NAMES))]
    of = {kind: [k for k in range(len(_NAMES)) if part[k] == kind] for kind in ("train", "test")}
    numbers = [2 if k in test else 1 if k in (2, EACH + 2) else 0 for k in range(len(_NAMES))]
    by_class = {
        kind: json.dumps({c: [stems[k] for k in rows if _LABELS[k] == c] for c in CLASSES})
        for kind, rows in of.items()
    }
    triples = {kind: [[_NAMES[k], 0, _LABELS[k]] for k in rows] for kind, rows in of.items()}
    texts = {
        "food/meta/train.txt": "".join(f"{stems[k]}\n" for k in of["train"]),
        "food/meta/test.txt": "".join(f"{stems[k]}\n" for k in of["test"]),
        "foodjson/meta/train.json": by_class["train"],
        "foodjson/meta/test.json": by_class["test"],
        "cub/about/images.txt": "".join(f"{k + 1} {name}\n" for k, name in enumerate(_NAMES)),
        "cub/about/train_test_split.txt": "".join(f"{k + 1} {int(part[k] == 'train')}\n" for k in range(len(_NAMES))),
        "celeba/about/list_eval_partition.txt": "".join(f"{n} {k}\n" for n, k in zip(_NAMES, numbers, strict=True)),
        "one/about/split.json": json.dumps(triples),
        "table/about/splits.csv": "image,split\n" + "".join(f"{n},{p}\n" for n, p in zip(_NAMES, part, strict=True)),
        "gtsrb/test/Test.csv": "Path,ClassId,Width\n"
        + "".join(f"{k:05}.png,{_LABELS[k]},24\n" for k in range(len(_NAMES))),
    }  # fmt: skip
    images: dict[str, bytes] = {}
    for top in {path.split("/")[0] for path in texts}:
        inside = "train/" if top == "gtsrb" else "images/"
        images |= {f"{top}/{inside}{name}": data for name, data in members()}
    images |= {f"gtsrb/test/{k:05}.png": data for k, (_, data) in enumerate(members())}
    written(folder, images)
    return written(folder, {path: text.encode() for path, text in texts.items()})


def encodings(folder: Path) -> list[Path]:
    """Write a table in each of many encodings, and one that names its images in it."""
    tables = {}
    for codec, words in _WORDS.items():
        own = [words[CLASSES.index(label)] for label in _LABELS]
        text = "image,label\n" + "".join(f"{n},{label}\n" for n, label in zip(_NAMES, own, strict=True))
        written(folder / codec, dict(members()))
        tables[f"{codec}/labels.csv"] = text.encode(codec)
    for codec in ("cp949", "gb18030", "cp1250"):
        words = _WORDS[codec]
        place = f"named-{codec}"
        names = [f"{words[CLASSES.index(label)]}{k}.png" for k, label in enumerate(_LABELS)]
        written(folder / place, {name: data for name, (_, data) in zip(names, members(), strict=True)})
        text = "image\tlabel\n" + "".join(f"{n}\t{label}\n" for n, label in zip(names, _LABELS, strict=True))
        tables[f"{place}/list.txt"] = text.encode(codec)
    return written(folder, tables)
