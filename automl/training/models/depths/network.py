"""A network whose classifier sees features of all depths. Model folders name it by the path of this module.

For images that are unlike those of the weights, such as textures, close-ups or scans, features of earlier layers say
more than those of the last one: Evci, Dumoulin, Larochelle and Mozer 2022, "Head2Toe: utilizing intermediate
representations for better transfer learning" (arXiv 2201.03529).
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from automl.errors import ModelError
from automl.torch_setup import import_timm
from automl.training.models.depths.taps import Tap, every_kth, find_taps, layer_names, pooled
from automl.training.models.safe_arguments import plain_arguments

MOST_FEATURES = 10_000


class AllDepths(nn.Module):
    """A network of timm, `name`, with a linear layer on the mean and deviation of what its `taps` put out.

    Logits (B, num_classes) are the sum of those of the network's own classifier and of this layer, `side`. `every`: the
    taps are each so-manieth layer, counted from the last. `arguments` are timm's keywords for the network.
    """

    def __init__(
        self, network: nn.Module, name: str, arguments: Mapping[str, Any], taps: Sequence[Tap], every: int
    ) -> None:
        super().__init__()
        self.network, self.taps, self.every = network, tuple(taps), every
        self.side = nn.Linear(2 * sum(tap.width for tap in taps), int(arguments["num_classes"]), bias=False)
        nn.init.zeros_(self.side.weight)
        self._name, self._arguments, self._kept = name, dict(arguments), _Kept()
        self._layers = layer_names(network)
        inner = dict(network.named_modules())
        for place, tap in enumerate(taps):
            inner[tap.name].register_forward_hook(_Keep(self._kept, place, tap))

    @property
    def folder_arguments(self) -> dict[str, Any]:
        """The keywords of `all_depths` that build it again, for config.json."""
        return {
            "network": self._name,
            "taps_every": self.every,
            "taps": [self._layers.index(tap.name) for tap in self.taps],
            "taps_widths": [tap.width for tap in self.taps],
            "taps_last": [tap.last for tap in self.taps],
            **self._arguments,
        }

    @property
    def pretrained_cfg(self) -> dict[str, Any]:
        """What timm says about the network."""
        return dict(getattr(self.network, "pretrained_cfg", {}))

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits of normalised images."""
        kept = self._kept.begin()
        scores = self.network(images)
        if len(kept) < len(self.taps):
            raise ModelError(
                f"not all layers that are read are run by {self._name}: the model folder is wrong"
            )
        found = torch.cat([kept[place] for place in range(len(self.taps))], dim=1)
        self._kept.end()
        total: Tensor = scores + self.side(found)
        return total

    def forward_features(self, images: Tensor) -> Tensor:
        """Return the last features of the network, as timm's method does."""
        found: Tensor = self._timm.forward_features(images)
        return found

    def forward_head(self, features: Tensor, pre_logits: bool = False) -> Tensor:
        """Return the pooled last features, as timm's method does, or the logits of its own classifier."""
        found: Tensor = self._timm.forward_head(features, pre_logits=pre_logits)
        return found

    def get_classifier(self) -> Any:
        """Return the network's own classifier."""
        return self._timm.get_classifier()

    def released(self) -> nn.Module:
        """Return the network alone, without what reads its taps. This one cannot be used afterwards."""
        for module in self.network.modules():
            own = module._forward_hooks
            for key in [key for key, hook in own.items() if isinstance(hook, _Keep)]:
                del own[key]
        return self.network

    @property
    def _timm(self) -> Any:
        return self.network


class _Kept(threading.local):
    """What the taps have put out in this thread: several threads may run one network."""

    values: dict[int, Tensor] | None = None

    def begin(self) -> dict[int, Tensor]:
        self.values = {}
        return self.values

    def end(self) -> None:
        self.values = None

    def __deepcopy__(self, memo: dict[int, Any]) -> _Kept:
        return _Kept()

    def __reduce__(self) -> tuple[Any, ...]:
        return _Kept, ()


class _Keep:
    """A hook that pools what a tap puts out, while the whole network runs."""

    def __init__(self, kept: _Kept, place: int, tap: Tap) -> None:
        self._kept, self._place, self._tap = kept, place, tap

    def __call__(self, _: nn.Module, __: Any, output: Any) -> None:
        if self._kept.values is None:
            return
        if not isinstance(output, Tensor) or output.ndim < 3:
            raise ModelError(
                f"the layer {self._tap.name!r:.100} has no maps or tokens: the model folder is wrong"
            )
        self._kept.values[self._place] = pooled(output, last=self._tap.last)


def with_all_depths(
    network: nn.Module,
    name: str,
    arguments: Mapping[str, Any],
    *,
    side: int,
    every: int | None = None,
    most: int = MOST_FEATURES,
) -> AllDepths | None:
    """Return a network of timm with a linear layer on features of all depths, for images of `side` pixels.

    Without `every`, there are as many taps as `most` features allow. None with fewer than two, as for a network that
    does not describe its layers.
    """
    taps = find_taps(network, channels=int(arguments.get("in_chans", 3)), side=side)
    if len(taps) < 2:
        return None
    for step in [every] if every else range(1, len(taps) // 2 + 1):
        chosen = every_kth(taps, step)
        if every or 2 * sum(tap.width for tap in chosen) <= most:
            return AllDepths(network, name, arguments, chosen, step)
    return None


def all_depths(
    network: str, taps_every: int, taps: Any, taps_widths: Any, taps_last: Any, **arguments: Any
) -> nn.Module:
    """Return a new network from what a model folder says; its name is `factories.ALL_DEPTHS`.

    `network` is timm's name, `arguments` are its keywords. `taps` are places among its layers, with their widths, and
    whether channels are the last axis. Raises ValueError for what is no such network.
    """
    if not _is_count(taps_every):
        raise ValueError(f"taps_every must be a count, not {taps_every!r:.40}")
    built = _built(network, arguments)
    found = _stated_taps(built, taps, taps_widths, taps_last)
    return AllDepths(built, network, arguments, found, taps_every)


def found_depths(network: str, taps_every: int, input_side: int, **arguments: Any) -> nn.Module:
    """Return a new network whose taps are found by running it; its name is `factories.FOUND_DEPTHS`.

    Raises ValueError for a network without layers that could be read.
    """
    built = _built(network, arguments)
    found = with_all_depths(built, network, arguments, side=input_side, every=taps_every)
    if found is None:
        raise ValueError(f"{network} has no layers whose features could be read")
    return found


def alone(network: nn.Module) -> nn.Module:
    """Return the network of timm within one with features from all depths; others as they are."""
    return network.network if isinstance(network, AllDepths) else network


def _built(network: Any, arguments: Mapping[str, Any]) -> nn.Module:
    timm = import_timm()
    if not (isinstance(network, str) and timm.is_model(network)):
        raise ValueError(f"timm has no architecture {network!r:.100}")
    made: nn.Module = timm.create_model(network, pretrained=False, **plain_arguments(arguments))
    return made


def _stated_taps(network: nn.Module, places: Any, widths: Any, last: Any) -> list[Tap]:
    """Return the taps that a file states. Raises ValueError for what are none."""
    names = layer_names(network)
    rows = [places, widths, last]
    if not all(isinstance(row, list) and row and len(row) == len(places) for row in rows):
        raise ValueError("taps, taps_widths and taps_last must be lists of one length")
    if not all(
        isinstance(place, int) and not isinstance(place, bool) and 0 <= place < len(names) for place in places
    ):
        raise ValueError(f"taps must be places among {len(names)} layers, not {places!r:.100}")
    if len(set(places)) < len(places) or not all(map(_is_count, widths)):
        raise ValueError(
            f"taps must differ and taps_widths be counts, not {places!r:.100} and {widths!r:.100}"
        )
    if not all(isinstance(one, bool) for one in last):
        raise ValueError(f"taps_last must be true or false for each layer, not {last!r:.100}")
    return [Tap(names[place], width, one) for place, width, one in zip(places, widths, last, strict=True)]


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0
