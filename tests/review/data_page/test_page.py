"""The page of clean data: classes, samples, sizes, brightness and a map, without anything from elsewhere."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from automl.data.quality.inspect import Inspection, inspect_data
from automl.review.data_page.embedding import look_at
from automl.review.data_page.page import write_data_page

ODD = "<b>&"


def colours(folder: Path, *, sizes: tuple[int, ...] = (40, 64)) -> Path:
    """Noisy images of two classes: dark ones, and bright ones."""
    draw = np.random.default_rng(0)
    for name, level in ((ODD, 40), ("bright", 200)):
        (folder / name).mkdir(parents=True)
        for i in range(15):
            shape = (sizes[i % len(sizes)], sizes[0], 3)
            pixels = np.clip(draw.normal(level, 30, shape), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{i}.png")
    return folder


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    root = tmp_path_factory.mktemp("page")
    found: list[Inspection] = []

    def write(inspection: Inspection) -> None:
        found.append(inspection)
        write_data_page(inspection, root / "x.html")

    inspect_data(str(colours(root / "photos")), look=write)
    assert found[0].report.n_images == 30
    return (root / "x.html").read_text(encoding="utf-8")


def test_page_has_every_part_and_links_to_it(page: str) -> None:
    for part in ("classes", "samples", "sizes", "brightness", "map"):
        assert f'<a href="#{part}">' in page and f'<h2 id="{part}">' in page


def test_classes_are_counted_by_part(page: str) -> None:
    row = re.search(r"<tr><td>bright</td>(.*?)</tr>", page)
    assert row is not None
    numbers = [int(number) for number in re.findall(r">(\d+)</td>", row[1])]
    assert numbers[-1] == sum(numbers[:-1]) == 15 and len(numbers) == 4


def test_each_class_has_samples_and_the_darkest_come_first(page: str) -> None:
    assert page.count("<figure><img") == 2 * 8 + 2 * 8
    darkest = page[page.index("the darkest") : page.index("the brightest")]
    assert darkest.count("&lt;b&gt;&amp;/") == 8 and "bright/" not in darkest


def test_map_has_each_image_once_by_class_and_part(page: str) -> None:
    drawn = page[page.index('<svg class="map"') :]
    titles = re.findall(r"<title>(.*?)</title>", drawn)
    assert len(titles) == len(set(titles)) == 30
    assert {title.rsplit(", ", 1)[1] for title in titles} == {"train", "val", "holdout"}
    assert len(set(re.findall(r'fill="(hsl[^"]*)"', drawn))) == 2


def test_page_needs_nothing_from_elsewhere_and_escapes_names(page: str) -> None:
    assert ODD not in page
    assert not re.search(r"https?:|<script|url\(", page)
    assert set(re.findall(r'(?:src|href)="([^":#]*)[:#]', page)) <= {"data", ""}


def test_map_keeps_what_looks_alike_together() -> None:
    draw = np.random.default_rng(0)
    levels = np.repeat([30, 220], 30)
    images = np.clip(draw.normal(levels[:, None, None, None], 5, (60, 24, 24, 1)), 0, 255).astype(np.uint8)
    look = look_at(images, np.arange(60))
    gaps = np.linalg.norm(look.places[:, None] - look.places[None], axis=-1)
    np.fill_diagonal(gaps, np.inf)
    assert (levels[gaps.argmin(axis=1)] == levels).all()
    assert look.brightness[:30].max() < look.brightness[30:].min()


@pytest.mark.parametrize("count", [1, 9])
def test_map_of_few_or_equal_images_has_one_place(count: int) -> None:
    look = look_at(np.full((count, 8, 8, 3), 7, dtype=np.uint8), np.arange(count))
    assert (look.places == 0.5).all()


def test_map_of_many_images_is_a_sample() -> None:
    images = np.random.default_rng(0).integers(0, 255, (900, 4, 4, 1), dtype=np.uint8)
    assert len(look_at(images, np.arange(900)).rows) == 800
