"""The page of clean data: classes, samples, sizes, brightness and a map, without anything from elsewhere."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from automl.data.quality.inspect import Inspection, inspect_data
from automl.review.data_page.colours import colour_of_value
from automl.review.data_page.embedding import look_at
from automl.review.data_page.page import write_data_page
from tests.browser import browser

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


@pytest.fixture(scope="module")
def ages(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page of a regression whose first training image is also a test image."""
    root = tmp_path_factory.mktemp("ages")
    draw = np.random.default_rng(0)
    lines = ["image,split,age"]
    for i in range(20):
        name = f"{i:02}.png"
        pixels = draw.integers(0, 256, (16, 16, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(root / name)
        lines.append(f"{name},{'test' if i % 4 == 1 else 'train'},{i + 0.5}")
    (root / "01.png").write_bytes((root / "00.png").read_bytes())
    (root / "labels.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    inspect_data(
        str(root / "labels.csv"), target="age", look=lambda found: write_data_page(found, root / "x.html")
    )
    return (root / "x.html").read_text(encoding="utf-8")


def test_regression_has_its_values(ages: str) -> None:
    values = ages[ages.index('<h2 id="values">') : ages.index('<h2 id="samples">')]
    assert "<td>age</td><td>train</td>" in values and 'aria-label="age"' in values
    assert '<a href="#values">' in ages
    assert "<figcaption>19.5: 19.png</figcaption>" in ages


def test_map_of_a_regression_is_coloured_by_value(ages: str) -> None:
    legend = re.search(
        r'<p class="legend"><span>age: 0.5 <b class="scale" style="[^"]*"></b> 19.5</span>', ages
    )
    assert legend is not None
    drawn = ages[ages.index('<svg class="map"') :]
    found = dict(re.findall(r'fill="(#[0-9a-f]{6})"[^>]*><title>(\d\d)\.png: ', drawn))
    by_value = {int(number): colour for colour, number in found.items()}
    assert len(by_value) > 15, "each value has its own colour"
    lights = [lightness(by_value[number]) for number in sorted(by_value)]
    assert lights == sorted(lights)
    assert by_value[0] == colour_of_value(0.0) and by_value[19] == colour_of_value(1.0)


def lightness(colour: str) -> float:
    """The lightness of a colour such as #a0b1c2 in CIELAB, 0 to 100."""
    parts = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return float(116 * luminance ** (1 / 3) - 16)


def test_equal_steps_of_a_value_are_equal_steps_of_lightness() -> None:
    steps = np.diff([lightness(colour_of_value(share)) for share in np.linspace(0, 1, 9)])
    assert steps.min() > 0.5 * steps.max() > 0
    assert colour_of_value(float("nan")) == "#888"


def test_map_of_several_labels_is_coloured_by_the_rarest(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    lines = ["image,sky,tree,owl"]
    for i in range(24):
        pixels = draw.integers(0, 256, (16, 16, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{i:02}.png")
        lines.append(f"{i:02}.png,{int(i > 0)},{int(i % 2)},{int(i % 8 == 7)}")
    (tmp_path / "labels.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    path = tmp_path / "x.html"
    inspect_data(
        str(tmp_path / "labels.csv"),
        target="sky,tree,owl",
        task="multilabel",
        look=lambda found: write_data_page(found, path),
    )
    page = path.read_text(encoding="utf-8")
    drawn = page[page.index('<svg class="map"') :]
    known = {
        int(number): colour for colour, number in re.findall(r'fill="([^"]*)"[^>]*><title>(\d\d)\.', drawn)
    }
    assert known[0] == "#888", "it has no label"
    legend = dict(re.findall(r'<i style="background:([^"]*)"></i>([^<]*)<', page))
    assert list(legend.values()) == ["sky", "tree", "owl", "none of these"]
    assert [legend[known[number]] for number in (2, 1, 7)] == ["sky", "tree", "owl"]


def test_copies_across_the_splits_are_not_said_to_stay_in_one_part(ages: str) -> None:
    assert "across the given splits" in ages and "their rows stay in one part" not in ages


def test_clean_data_say_what_was_looked_for(page: str) -> None:
    found = re.search(r"<p>No problems found: no copies[^<]*</p>", page)
    assert found is not None and "contradictory labels" in found[0] and "finding-1" not in page


@pytest.mark.browser
def test_long_names_fit_a_phone(tmp_path: Path) -> None:
    photos = colours(tmp_path / "photos")
    (photos / "bright").rename(photos / ("x" * 120))
    path = tmp_path / "x.html"
    inspect_data(str(photos), look=lambda found: write_data_page(found, path))
    with browser() as chromium:
        chromium.open(path, width=390)
        assert chromium.run("document.documentElement.scrollWidth") <= 390
