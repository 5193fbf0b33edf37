"""What arguments a model accepts, and what it costs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

POOLS = ("token", "avg")  # the ways in which a transformer may pool its tokens, in timm's words


@dataclass(frozen=True)
class Capability:
    """The properties of timm's model of this name.

    - `img_size`, `drop_path`: whether it accepts the keywords `img_size` and `drop_path_rate`
    - `patch_size`: the side in pixels of its patches if the keyword can make them smaller, else 0
    - `stride`: the side of an image over that of the last features; 0 if unknown
    - `channels`: the widths of its stages if the keyword `channels` changes them, else empty
    - `stem`: the width of its stem if the keyword `stem_width` changes it, else 0
    - `min_size`: the smallest square input in pixels, from 32 on, that it can train on
    - `fixed_size`: whether it accepts only the size that it was built for
    - `params`: millions of parameters with 10 outputs
    - `input_size`: the side in pixels of the images that it was designed for
    - `macs`: billions of multiplications for one image of that size
    - `writes`: millions of numbers that its layers write for one image of that size
    - `layers`: the number of calls of layers without sub-layers
    - `weights`: timm's tag of its default pretrained weights (or the tag in its name), "" if there are none
    - `licence`: timm's name of their licence, "unknown" if timm knows none, "" without weights
    - `pool`: how it makes one feature vector of its tokens: "token" (its class token) or "avg" (the mean of the others)
      if the keyword `global_pool` takes both, else ""
    - `pool_norm`: the keywords that keep its last norm where it is when `global_pool` changes
    - `one_size`: whether its weights fit `input_size` alone: some of them belong to the positions of one size
    """

    model: str
    img_size: bool
    drop_path: bool
    patch_size: int
    stride: int
    channels: tuple[int, ...]
    stem: int
    min_size: int
    fixed_size: bool
    params: float
    input_size: int
    macs: float
    writes: float
    layers: int
    weights: str
    licence: str = ""
    pool: str = ""
    pool_norm: Mapping[str, bool] = field(default_factory=dict)
    one_size: bool = False

    def side_with_weights(self, size: int) -> int:
        """Return the side in pixels of the input of a network with weights, for a `size` that a configuration has.

        Weights that fit one size alone have that one. Others have the nearest side that patches divide, at least the
        smallest that the network can train on.
        """
        if self.one_size:
            return self.input_size
        patch = self.patch_size or 1
        return max(patch, round(size / patch) * patch, self.min_size)
