"""What a model accepts when it is built, and what it costs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Capability:
    """What timm's model of this name takes.

    `img_size`, `drop_path`: whether the keywords `img_size` and `drop_path_rate` may be given; `in_chans`:
    whether it can be built for gray pictures; `patch_size`: the side in pixels of the patches that it cuts
    pictures into, where the keyword makes them smaller, else 0; `stride`: how many times it shrinks a picture in
    all (0: it does not say); `channels`: the widths of its stages where the keyword `channels` changes them,
    else empty; `stem`: the width of its stem where the keyword `stem_width` changes it, else 0; `min_size`: the
    smallest square input in pixels, from 32 on, that it learns from; `fixed_size`: whether it takes only the size
    that it was built for; `freezing`: how many layers below the head can be frozen one after the other; `params`:
    millions of parameters with 10 outputs; `input_size`: the side in pixels of the pictures that it was made for,
    `macs`: billions of multiplications for one of them, `writes`: millions of numbers that its layers write for it, and
    `layers`: how many layers without layers of their own are called; `weights`: timm's tag of its usual published
    weights, "" where there are none.
    """

    model: str
    img_size: bool
    drop_path: bool
    in_chans: bool
    patch_size: int
    stride: int
    channels: tuple[int, ...]
    stem: int
    min_size: int
    fixed_size: bool
    freezing: int
    params: float
    input_size: int
    macs: float
    writes: float
    layers: int
    weights: str
