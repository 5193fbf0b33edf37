"""Decoded images on disk."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from automl.data.cache import cache
from automl.data.cache.cache import Cached, open_or_build
from automl.data.cache.checksums import write_checksums
from automl.data.decoding import image_format as scan
from automl.data.decoding.image_format import Target
from automl.data.pixels import to_pixels
from automl.data.sources import open_source
from automl.errors import DataError
from tests.data.conftest import MakeFolder, random_image


def _accept(cached: Cached) -> None:
    assert cached.images_path.exists()


def _open(root: Path, cache_dir: Path, target: Target | None = None) -> Cached:
    return open_or_build(
        open_source(root),
        target or Target(8, 3),
        cache_dir=cache_dir,
        check=_accept,
        progress=lambda done, total: None,
    )


@pytest.fixture
def root(make_folder: MakeFolder) -> Path:
    return make_folder({"a": 3, "b": 2, "c": 2})


def test_cache_holds_the_pixels_of_every_row(root: Path, tmp_path: Path) -> None:
    source = open_source(root)
    cached = _open(root, tmp_path / "cache")
    images = np.load(cached.images_path, mmap_mode="r")
    assert images.shape == (7, 8, 8, 3)
    assert np.array_equal(images[4], to_pixels(source.load(4), size=8, channels=3))
    assert cached.sizes.tolist() == [[12, 10]] * 7
    assert set(cached.modes) == {"RGB"}


def test_second_opening_finds_the_first(root: Path, tmp_path: Path) -> None:
    first = _open(root, tmp_path / "cache")
    second = _open(root, tmp_path / "cache")
    assert (first.was_there, second.was_there) == (False, True)
    assert second.folder == first.folder
    assert second.digests == first.digests


def test_other_size_or_changed_data_are_another_folder(root: Path, tmp_path: Path) -> None:
    first = _open(root, tmp_path / "cache")
    assert _open(root, tmp_path / "cache", Target(16, 3)).folder != first.folder
    random_image(77, size=(9, 9)).save(root / "a" / "000.png")
    assert _open(root, tmp_path / "cache").folder != first.folder


@pytest.mark.parametrize(
    "name", ["images.npy", "pairs.npy", "words.json", "digests.npy", "meta.json", "checksums.json"]
)
@pytest.mark.parametrize("damage", ["missing", "cut", "empty", "one bit"])
def test_damaged_folder_is_made_again(root: Path, tmp_path: Path, name: str, damage: str) -> None:
    folder = _open(root, tmp_path / "cache").folder
    path = folder / name
    whole = path.read_bytes()
    path.unlink()
    if damage == "one bit":
        path.write_bytes(whole[:-9] + bytes([whole[-9] ^ 1]) + whole[-8:])
    elif damage != "missing":
        path.write_bytes(whole[: len(whole) // 2 if damage == "cut" else 0])
    again = _open(root, tmp_path / "cache")
    assert not again.was_there
    assert (folder / "images.npy").stat().st_size == 128 + 7 * 8 * 8 * 3
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [folder.name]


_CHANGED: dict[str, Any] = {
    "words.json": [
        5,
        {"modes": ["RGB"], "reasons": 5},
        {"modes": [5], "reasons": {}},
        {"modes": ["RGB"], "reasons": {"1": 5}},
        {"modes": [], "reasons": {}},
    ],
    "digests.npy": [np.zeros(7, dtype=np.uint8), np.zeros((7, 32)), np.zeros((6, 32), dtype=np.uint8)],
    "sizes.npy": [np.zeros((7, 3), dtype=np.int32), np.zeros((7, 2))],
    "pairs.npy": [np.zeros(3, dtype=np.int64), np.array([[0, 7]]), np.array([[-1, 0]])],
    "modes.npy": [np.zeros((7, 1), dtype=np.uint8), np.zeros(7), np.zeros(3, dtype=np.uint8)],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name in _CHANGED for value in _CHANGED[name]])
def test_entry_with_other_content_and_the_right_checksums_is_made_again(
    root: Path, tmp_path: Path, name: str, value: Any
) -> None:
    folder = _open(root, tmp_path / "cache").folder
    if name.endswith(".npy"):
        np.save(folder / name, value)
    else:
        (folder / name).write_text(json.dumps(value))
    write_checksums(folder)
    again = _open(root, tmp_path / "cache")
    assert not again.was_there
    assert set(again.modes) == {"RGB"}
    assert again.sizes.tolist() == [[12, 10]] * 7


@pytest.mark.parametrize("key", ["pixel_range", "img_size", "n", "in_chans", "resize", "state", "version"])
@pytest.mark.parametrize("value", [5, "x", None, [1], {}, 1e300])
def test_larger_entry_with_other_facts_than_it_should_have_is_not_scaled_down(
    root: Path, tmp_path: Path, key: str, value: Any
) -> None:
    folder = _open(root, tmp_path / "cache", Target(32, 3)).folder
    meta = json.loads((folder / "meta.json").read_text())
    (folder / "meta.json").write_text(json.dumps({**meta, key: value}))
    write_checksums(folder)
    images = np.load(_open(root, tmp_path / "cache").images_path)
    assert images.shape == (7, 8, 8, 3)
    assert images.std() > 0


def test_bad_files_are_named(root: Path, tmp_path: Path) -> None:
    (root / "a" / "001.png").write_bytes(b"")
    for name in ("000.png", "001.png"):
        (root / "b" / name).write_bytes(b"text")
    cached = _open(root, tmp_path / "cache")
    assert cached.reasons == ("", "empty file", "", "not an image", "not an image", "", "")


def test_image_that_could_not_be_read_is_read_again(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = open_source(root)
    row = 4
    honest = source.read

    def refused(i: int) -> bytes:
        if i == row:
            raise DataError("cannot be read (Permission denied)")
        return honest(i)

    monkeypatch.setattr(source, "read", refused)  # root may read any file
    options: dict[str, Any] = {
        "cache_dir": tmp_path / "cache",
        "check": _accept,
        "progress": lambda done, total: None,
    }
    first = open_or_build(source, Target(8, 3), **options)
    assert first.reasons[row] == "cannot be read (Permission denied)"
    assert open_or_build(source, Target(8, 3), **options).was_there
    monkeypatch.setattr(source, "read", honest)
    assert open_or_build(source, Target(8, 3), **options).reasons[row] == ""
    assert open_or_build(source, Target(8, 3), **options).was_there


def test_refusing_check_leaves_nothing(root: Path, tmp_path: Path) -> None:
    def refuse(cached: Cached) -> None:
        raise DataError("no")

    with pytest.raises(DataError, match="^no$"):
        open_or_build(
            open_source(root),
            Target(8, 3),
            cache_dir=tmp_path / "deep" / "cache",
            check=refuse,
            progress=lambda done, total: None,
        )
    assert not (tmp_path / "deep").exists()


def test_colour_beyond_the_sample_is_found(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in sorted(root.rglob("*.png")):
        if path.name != "001.png":
            random_image(0, mode="L").save(path)
    monkeypatch.setattr(scan, "_SAMPLE", 1)
    target = scan.choose_target(open_source(root), img_size=8, max_size=224)
    assert target.in_chans == 1
    cached = _open(root, tmp_path / "cache", target)
    assert cached.in_chans == 3
    assert _open(root, tmp_path / "cache", target).in_chans == 3


def test_disk_too_small_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "_SPARE_BYTES", shutil.disk_usage(tmp_path).total)
    pixels = np.zeros((4, 8, 8), dtype=np.uint8)  # of a folder, the images would be streamed
    with pytest.raises(DataError, match="GB are free: free space"):
        open_or_build(
            open_source((pixels, ["a", "b"] * 2)),
            Target(8, 1),
            cache_dir=tmp_path / "cache",
            check=_accept,
            progress=lambda done, total: None,
        )


def test_cache_folder_that_is_a_file_is_refused(root: Path, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("")
    with pytest.raises(DataError, match="the image cache must be writable, but .* set AUTOML_CACHE_DIR to"):
        _open(root, tmp_path / "cache")


def test_progress_reaches_the_total(root: Path, tmp_path: Path) -> None:
    steps: list[tuple[int, int]] = []
    open_or_build(
        open_source(root),
        Target(8, 3),
        cache_dir=tmp_path / "cache",
        check=_accept,
        progress=lambda done, total: steps.append((done, total)),
    )
    assert steps[-1] == (7, 7)


def test_smaller_size_is_made_from_the_larger_one_without_decoding(
    make_folder: MakeFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make_folder({"a": 3, "b": 2})
    for i, path in enumerate(sorted(root.rglob("*.png"))):
        smooth = random_image(i, size=(5, 5)).resize((60, 50), Image.Resampling.BICUBIC)
        smooth.save(path)
    (root / "a" / "001.png").write_bytes(b"")
    larger = _open(root, tmp_path / "cache", Target(40, 3))
    expected = _open(root, tmp_path / "other", Target(16, 3))
    monkeypatch.setattr(cache, "decode_all", None)
    found = _open(root, tmp_path / "cache", Target(16, 3))
    pixels, wanted = (np.load(c.images_path).astype(int) for c in (found, expected))
    assert pixels.shape == (5, 16, 16, 3)
    assert np.abs(pixels - wanted).max() <= 3  # twice rounded
    assert (found.reasons, found.digests) == (larger.reasons, larger.digests)
    assert found.sizes.tolist() == larger.sizes.tolist()
    assert not found.was_there
    assert _open(root, tmp_path / "cache", Target(16, 3)).was_there


@pytest.mark.parametrize("case", ["too small", "damaged", "other data"])
def test_larger_images_that_do_not_serve_are_decoded_again(root: Path, tmp_path: Path, case: str) -> None:
    larger = _open(root, tmp_path / "cache", Target(15 if case == "too small" else 16, 3))
    if case == "damaged":
        larger.images_path.write_bytes(b"")
    if case == "other data":
        random_image(78).save(root / "a" / "000.png")
    found = _open(root, tmp_path / "cache", Target(8, 3))
    expected = _open(root, tmp_path / "other", Target(8, 3))
    assert np.array_equal(np.load(found.images_path), np.load(expected.images_path))


def test_limit_removes_what_nobody_uses_and_says_so(root: Path, tmp_path: Path) -> None:
    notes: list[str] = []

    def limited(size: int) -> Cached:
        return open_or_build(
            open_source(root),
            Target(size, 3),
            cache_dir=tmp_path / "cache",
            check=_accept,
            progress=lambda done, total: None,
            max_disk=12_000,
            note=notes.append,
        )

    first = limited(8)
    limited(9)
    assert notes == []
    limited(20)  # 8,400 bytes
    assert notes == [
        "1 set of decoded images (0.00 GB) that no running study uses removed from the cache to make room."
    ]
    assert first.images_path.exists()
