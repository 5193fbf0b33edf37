"""What is tried: how valid files are made, how they are damaged, and which public function reads them."""

from __future__ import annotations

import contextlib
import io
import os
import tarfile
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import automl
from automl.cli import main
from automl.errors import AutomlError
from benchmarks.fuzz import containers, damage, lists, networks
from benchmarks.fuzz.damage import BINARY, TEXT, Damage
from benchmarks.fuzz.pictures import encoded, members, picture, written

SPACE = """description: a space to damage
families:
  resnet: [resnet10t, resnet18]
  convnext: {models: "convnext_*", weight: 2}
parameters:
  lr: {type: float, low: 1.0e-5, high: 1.0e-1, log: true}
  batch_size: {type: categorical, choices: [32, 64, 128], weights: [1, 2, 1]}
  layers: {type: int, low: 1, high: 5, when: {family: resnet}}
  momentum: {type: float, low: 0.8, high: 0.99, step: 0.01}
constraints: ["batch_size * layers <= 256"]
portfolio: [{family: resnet, model: resnet18, lr: 0.01, batch_size: 64, layers: 2, momentum: 0.9}]
"""
STUDY = """data: digits
study: damaged
time_limit: 10m
n_trials: 12
seed: 3
metric: accuracy
val: cv:5
space: {parameters: {lr: {type: float, low: 0.1, high: 0.9}}}
storage: null
"""


class UnexpectedError(Exception):
    """A command ended with an error that it did not expect."""


@dataclass(frozen=True)
class Reader:
    """A kind of file. `make` writes a valid one (and what belongs to it) into a folder and returns those to damage.

    `read` reads the damaged file with the package; `ways` are the ways to damage one, by the end of its name.
    """

    name: str
    make: Callable[[Path], Sequence[Path]]
    read: Callable[[Path], None]
    ways: Mapping[str, tuple[Damage, ...]] = field(default_factory=lambda: {"": BINARY})

    def ways_for(self, file: Path) -> tuple[Damage, ...]:
        """Return the ways to damage a file."""
        return next(ways for end, ways in self.ways.items() if file.name.endswith(end))


def _images(folder: Path) -> list[Path]:
    files = {
        "rgb.png": encoded(picture(0), "PNG"),
        "palette.png": encoded(picture(1, "P"), "PNG", transparency=3),
        "deep.png": encoded(picture(2, "I;16"), "PNG"),
        "plain.jpg": encoded(picture(3), "JPEG"),
        "exif.jpg": encoded(
            picture(4),
            "JPEG",
            exif=b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0",
        ),
        "progressive.jpg": encoded(picture(5), "JPEG", progressive=True),
        "cmyk.jpg": encoded(picture(5, "CMYK"), "JPEG"),
        "plain.tif": encoded(picture(6), "TIFF"),
        "lzw.tif": encoded(picture(7), "TIFF", compression="tiff_lzw"),
        "deep.tif": encoded(picture(2, "I;16"), "TIFF", tiffinfo={42113: "9999"}),
        "pages.tif": encoded(picture(6), "TIFF", save_all=True, append_images=[picture(7)]),
        "deflate.tif": encoded(picture(7, "F"), "TIFF", compression="tiff_adobe_deflate"),
        "lossy.webp": encoded(picture(8), "WEBP"),
        "lossless.webp": encoded(picture(9, "RGBA"), "WEBP", lossless=True),
        "two.gif": encoded(picture(0, "P"), "GIF", save_all=True, append_images=[picture(1, "P")]),
        "plain.bmp": encoded(picture(2), "BMP"),
        "some.ico": encoded(picture(3, "RGBA"), "ICO"),
        "some.jp2": encoded(picture(4), "JPEG2000"),
        "some.ppm": encoded(picture(5), "PPM"),
        "some.tga": encoded(picture(6), "TGA", rle=True),
        "some.avif": encoded(picture(7), "AVIF"),
    }
    return written(folder, files)


def _folder(folder: Path) -> list[Path]:
    return written(folder, {f"data/{name}": data for name, data in members()})[:1]


def _zips(folder: Path) -> list[Path]:
    paths = []
    for name, method in (
        ("s.zip", zipfile.ZIP_STORED),
        ("d.zip", zipfile.ZIP_DEFLATED),
        ("l.zip", zipfile.ZIP_LZMA),
    ):
        with zipfile.ZipFile(folder / name, "w", method) as archive:
            for member, data in members():
                archive.writestr(member, data)
        paths.append(folder / name)
    with zipfile.ZipFile(folder / "b.zip", "w", zipfile.ZIP_BZIP2) as archive:
        for member, data in members():
            with archive.open(member, "w", force_zip64=True) as file:
                file.write(data)
    return [*paths, folder / "b.zip"]


def _tars(folder: Path) -> list[Path]:
    paths = []
    forms = (
        ("u.tar", "w", tarfile.USTAR_FORMAT),
        ("g.tar", "w", tarfile.GNU_FORMAT),
        ("p.tar", "w", tarfile.PAX_FORMAT),
    )
    for name, mode, form in (
        *forms,
        ("z.tar.gz", "w:gz", tarfile.PAX_FORMAT),
        ("x.tar.xz", "w:xz", tarfile.GNU_FORMAT),
    ):
        with tarfile.open(folder / name, mode, format=form) as archive:  # type: ignore[call-overload]  # modes of a tuple
            for member, data in members():
                info = tarfile.TarInfo(member if form == tarfile.USTAR_FORMAT else f"{'long' * 30}/{member}")
                info.size, info.mtime = len(data), 1.5 if form == tarfile.PAX_FORMAT else 1
                archive.addfile(info, io.BytesIO(data))
        paths.append(folder / name)
    return paths


def _tables(folder: Path) -> list[Path]:
    import pandas as pd

    names = [f"images/{path}" for path, _ in members()]
    written(folder, {f"images/{name}": data for name, data in members()})
    labels = [name.split("/")[1] for name in names]
    ages = [20.5 + 3 * i for i in range(len(names))]
    tags = ["cat|big" if i % 2 else "dog" for i in range(len(names))]
    frame = pd.DataFrame(
        {"image": names, "label": labels, "group": [f"p{i // 2}" for i in range(len(names))]}
    )
    frame.to_csv(folder / "labels.csv", index=False)
    frame.assign(label=ages).to_csv(folder / "amounts.tsv", index=False, sep="\t")
    prices = [f"${1000 + 250 * i:,}.50" for i in range(len(names))]
    (folder / "prices.csv").write_text("# prices\n" + frame.assign(label=prices).to_csv(index=False))
    frame.assign(label=tags).to_json(folder / "tags.jsonl", orient="records", lines=True)
    frame.assign(label=range(len(names))).to_json(folder / "numbers.jsonl", orient="records", lines=True)
    frame.to_json(folder / "rows.json", orient="records")
    lines = [f"{name} {label}\n" for name, label in zip(names, labels, strict=True)]
    (folder / "list.txt").write_text("".join(lines))
    frame.to_parquet(folder / "names.parquet", index=False)
    content = [{"bytes": data, "path": None} for _, data in members()]
    pd.DataFrame({"image": content, "label": [[k, k + 1] for k in range(len(names))]}).to_parquet(
        folder / "bytes.parquet", index=False, compression="zstd"
    )
    return [
        folder / name
        for name in (
            "labels.csv",
            "amounts.tsv",
            "prices.csv",
            "tags.jsonl",
            "numbers.jsonl",
            "rows.json",
            "list.txt",
            "names.parquet",
            "bytes.parquet",
        )
    ]


def _space(folder: Path) -> list[Path]:
    return written(folder, {"space.yaml": SPACE.encode()})


def _study_file(folder: Path) -> list[Path]:
    return written(folder, {"study.yaml": STUDY.encode()})


def _study(folder: Path) -> list[Path]:
    """Run a small study, and copy it as a neighbour whose files stay whole."""
    import shutil

    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        automl.fit(
            "digits", study="bad", directory=folder, space="smoke", n_trials=2, epochs=1, engine="local", progress=False
        )  # fmt: skip
    bad = folder / "bad"
    shutil.copytree(bad, folder / "good")
    text = (folder / "good/study.yaml").read_text().replace("study: bad", "study: good")
    (folder / "good/study.yaml").write_text(text)
    names = (
        "study.db",
        "study.db",
        "study.yaml",
        "result.json",
        "plan.json",
        "trials.csv",
        "data_report.json",
        "splits.csv",
    )
    return [bad / name for name in names]


def _inspect(path: Path) -> None:
    automl.inspect(path)


def _inspect_folder(path: Path) -> None:
    automl.inspect(path.parents[1])


def _inspect_beside(path: Path) -> None:
    automl.inspect(path.parent)


@cache
def _predictor(folder: Path) -> Any:
    place = folder.parent / "predictor"
    if not place.is_dir():
        networks.model(place)
    return automl.load(place / "test_resnet")


def _predict(path: Path) -> None:
    _predictor(path.parent).predict(path.read_bytes())


def _load_space(path: Path) -> None:
    space = automl.SearchSpace.load(path)
    space.to_dict()


def _load_study_file(path: Path) -> None:
    from automl.config import load

    load(path)


def _commands(path: Path) -> None:
    folder = str(path.parents[1])
    listed = _command("list", "--directory", folder, "--json")
    if "good" not in listed:
        raise UnexpectedError(f"list does not show the study beside it: {listed[:200]}")
    for name in ("show", "leaderboard"):
        _command(name, "bad", "--directory", folder)
    with contextlib.suppress(AutomlError):
        _command(
            "portfolio", "learn", "bad", "good", "--directory", folder, "--out", f"{folder}/bad/out.yaml"
        )


def _command(*arguments: str) -> str:
    """Return what a command printed. Raises UnexpectedError if it did not expect its error."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(list(arguments))
    text = err.getvalue()
    if "automl: unexpected" in text or "Traceback" in text or code not in (0, 1, 2, 3):
        raise UnexpectedError(f"{arguments[0]} (exit code {code}): {text[-300:]}")
    if len(text) > 20_000 or (code != 0 and text.count("\n") > 4):
        raise UnexpectedError(f"{arguments[0]} says too much: {len(text)} characters")
    return out.getvalue()


_JSON = (damage.revalued, damage.revalued, *TEXT)
_YAML = (*TEXT, damage.reworded, damage.bombed)
READERS: tuple[Reader, ...] = (
    Reader(
        "image",
        _images,
        _predict,
        {".png": (*BINARY, containers.with_png_chunks, containers.with_png_chunks), "": BINARY},
    ),
    Reader("folder", _folder, _inspect_folder, {"": (*BINARY, containers.with_png_chunks)}),
    Reader("zip", _zips, _inspect, {"": (*BINARY, containers.in_zip_directory, containers.in_zip_directory)}),
    Reader(
        "tar",
        _tars,
        _inspect,
        {
            ".tar": (*BINARY, *[containers.in_tar_header] * 3),
            ".gz": (*BINARY, *[containers.inside_gzip] * 3),
            "": BINARY,
        },
    ),
    Reader(
        "table",
        _tables,
        _inspect,
        {".parquet": BINARY, ".jsonl": (*TEXT, damage.reworded), ".json": _JSON, "": TEXT},
    ),
    Reader("space", _space, _load_space, {"": _YAML}),
    Reader("study-file", _study_file, _load_study_file, {"": _YAML}),
    Reader(
        "model",
        networks.model,
        networks.load_model,
        {".safetensors": (*BINARY, *[containers.in_safetensors_header] * 3), "": _JSON},
    ),
    Reader(
        "weights",
        networks.weights,
        networks.load_weights,
        {
            ".safetensors": (*BINARY, *[containers.in_safetensors_header] * 3),
            ".pth": (
                *BINARY,
                containers.in_zip_directory,
                containers.in_zip_member,
                containers.in_zip_member,
            ),
            "": _JSON,
        },
    ),
    Reader(
        "cache",
        networks.cache,
        networks.read_cache,
        {
            ".json": _JSON,
            ".npz": (
                *BINARY,
                containers.in_zip_directory,
                containers.in_zip_member,
                containers.in_zip_member,
            ),
            "": BINARY,
        },
    ),
    Reader("xml", lists.xml, _inspect_folder, {"": (*TEXT, *[damage.in_markup] * 3, damage.reencoded)}),
    Reader("export", lists.exports, _inspect_beside, {"": (*_JSON, damage.revalued, damage.reencoded)}),
    Reader(
        "split",
        lists.splits,
        _inspect_folder,
        {".json": (*_JSON, damage.reencoded), "": (*TEXT, damage.reencoded)},
    ),
    Reader("encoding", lists.encodings, _inspect_beside, {"": (*TEXT, *[damage.reencoded] * 2)}),
    Reader(
        "study",
        _study,
        _commands,
        {".db": (*BINARY, *[containers.in_database] * 5), ".json": _JSON, ".yaml": _YAML, "": TEXT},
    ),
)
NAMES = tuple(reader.name for reader in READERS)
os.environ.setdefault("HF_HUB_OFFLINE", "1")
