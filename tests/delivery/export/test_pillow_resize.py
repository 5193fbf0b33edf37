"""The resizing in a graph is Pillow's, to the last rounding."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from automl.data.pixels import fit
from automl.delivery.export.pillow_resize import PillowResize
from automl.records import Resize

# (height, width, size): enlarged, the same, smaller with and without averaging first, and long pictures.
SIZES = [
    (20, 31, 32),
    (32, 32, 32),
    (33, 47, 32),
    (75, 64, 32),
    (150, 211, 32),
    (301, 333, 48),
    (700, 90, 32),
    (25, 400, 32),
    (120, 40, 32),
    (404, 18, 32),
    (14, 472, 96),
    (400, 40, 32),
    (640, 481, 224),
]


@pytest.mark.parametrize(("height", "width", "size"), SIZES)
@pytest.mark.parametrize("resize", ["crop", "squeeze"])
@pytest.mark.parametrize("channels", [1, 3])
def test_resizes_as_pillow_does(height: int, width: int, size: int, resize: Resize, channels: int) -> None:
    random = np.random.default_rng(height * width)
    coarse = random.integers(0, 256, (height // 7 + 2, width // 7 + 2, 3), dtype=np.uint8)
    picture = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
    picture = picture if channels == 3 else picture.convert("L")
    wanted = fit(picture, size, channels, resize).astype(int)
    images = torch.from_numpy(np.array(picture).reshape(1, height, width, channels))
    found = PillowResize(size, resize)(images)[0].permute(1, 2, 0).numpy()
    np.testing.assert_array_equal(found, wanted)


def test_noise_is_resized_to_the_last_digit() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (211, 170, 3), dtype=np.uint8)
    wanted = fit(Image.fromarray(noise), 64, 3, "crop").astype(int)
    found = PillowResize(64, "crop")(torch.from_numpy(noise[None]))[0].permute(1, 2, 0).numpy()
    np.testing.assert_array_equal(found, wanted)


def test_several_images_of_one_size_are_resized_each() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (3, 50, 40, 3), dtype=np.uint8)
    resized = PillowResize(16, "squeeze")
    together = resized(torch.from_numpy(noise))
    for one, image in zip(together, noise, strict=True):
        assert torch.equal(one, resized(torch.from_numpy(image[None]))[0])
