"""The part of a pretrained network before its classifier, run as fast as this machine can."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from time import perf_counter
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from automl.torch_setup import set_threads
from automl.training.evaluate import autocast, fit_size
from automl.training.models.finetune import Classifier
from automl.training.models.memory_format import at_once, channels_last, to_cpu
from automl.training.plan import Precision

GAIN = 1.25  # bf16 must be so many times faster than fp32
WORTH_SECONDS = 3.0  # reading that takes less in fp32 is not worth a look at bf16
_LOOK_SECONDS = 0.25  # of one measurement
_BATCH_SECONDS = 0.5  # between two looks at the clock
_MOST_AT_ONCE, _ON_GPU = 32, 64  # images of a thread, and of a GPU
# Batches by which threads of one and all threads on one operator are compared; one is enough if one way takes so many
# times as long. Beside other work, threads that wait for each other take up to 30 times as long.
_TRIES, _CLEARLY = 2, 2.0

Array = npt.NDArray[np.float32]


class FrozenNetwork:
    """Computes the features that the classifier of a network gets, of images that are resized to `size` pixels.

    `precision` is bf16 if `measure` finds it faster by GAIN. A network that is delivered computes in float32, and there
    a classifier that was fitted on features in bf16 is as good as any (decision 0088). On a CPU, several threads of one
    are compared with all threads on one operator, and the rest is done in the faster way. Use it in a `with` block: its
    end leaves the network as it was, on the CPU.
    """

    def __init__(
        self, model: nn.Module, classifier: Classifier, *, size: int, device: str, threads: int
    ) -> None:
        self.model, self.classifier = channels_last(model, device).eval(), classifier
        self.precision: Precision = "fp32"
        self.seconds_per_image = 0.0  # of the last batches
        self._size, self._device, self._threads = size, device, threads
        self._on_cpu = torch.device(device).type == "cpu"
        self._most = at_once(size, device, most=_MOST_AT_ONCE)
        self._at_once = min(self._most, _MOST_AT_ONCE // 4) if self._on_cpu else _ON_GPU
        self._local = threading.local()
        self._tries: dict[bool, list[float]] = {True: [], False: []}
        self._threads_before = torch.get_num_threads()

    def __enter__(self) -> FrozenNetwork:
        self._handles = [
            layer.register_forward_pre_hook(partial(self._keep, place))
            for place, layer in enumerate(self.classifier.read)
        ]
        workers = self._threads if self._on_cpu else 1
        self._pool = ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,))
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)
        for handle in self._handles:
            handle.remove()
        torch.set_num_threads(self._threads_before)
        to_cpu(self.model)

    @property
    def width(self) -> int:
        """The number of features."""
        return self.classifier.width

    @property
    def batch_size(self) -> int:
        """The number of images that should be given at once."""
        return self._at_once * (self._threads if self._on_cpu else 1)

    @torch.inference_mode()
    def ends_in_classifier(self, images: Tensor) -> bool:
        """Return whether the outputs for two of these images are those of the classifier for its features."""
        outputs, inputs = self._run(fit_size(images[:2], self._size))
        if not isinstance(outputs, Tensor) or any(each is None or not _is_vector(each) for each in inputs):
            return False
        expected = self.classifier.scores(inputs)
        return outputs.shape == expected.shape and torch.allclose(
            outputs, expected, rtol=1e-3, atol=1e-3, equal_nan=True
        )

    def measure(self, images: Tensor, n: int, *, precisions: Sequence[Precision] = ("fp32", "bf16")) -> None:
        """Choose the batch size, and the precision among those that may be used, for features of `n` images."""
        self.precision = precisions[0]
        if not self._on_cpu:
            return
        first = self._timed(images[: self._threads])  # it also prepares the kernels
        most = max(1, int(_LOOK_SECONDS / first))
        images = images[: most * self._threads]
        if most > 1:
            self._timed(images)
            first = self._timed(images)
        if len(precisions) > 1 and n * first / self._threads > WORTH_SECONDS:
            self.precision = precisions[1]
            first, self.precision = self._faster(images, first, precisions[0])
        self._at_once = min(self._most, max(1, int(_BATCH_SECONDS / first)))

    def __call__(self, images: Tensor, *, mirrored: bool) -> Array:
        """Return features (B, width) of normalised images (B, C, H, W), or of their mirror images."""
        begun, pooled = perf_counter(), self._pools()
        found = self._pooled(images, mirrored) if pooled else self._together(images, mirrored)
        self.seconds_per_image = (perf_counter() - begun) / len(images)
        self._tries[pooled].append(self.seconds_per_image)
        return np.asarray(found.numpy(), dtype=np.float32)

    def _pools(self) -> bool:
        """Return whether to use threads of one: in turn at first, then whichever was faster."""
        if not self._on_cpu or self._threads == 1:
            return False
        pooled, together = self._tries[True], self._tries[False]
        if not pooled or not together:
            return not pooled
        first, other = min(pooled[:_TRIES]), min(together[:_TRIES])
        alike = first < _CLEARLY * other and other < _CLEARLY * first
        if alike and min(len(pooled), len(together)) < _TRIES:
            return len(pooled) <= len(together)
        return first <= other

    def _faster(self, images: Tensor, first: float, other: Precision) -> tuple[float, Precision]:
        """Return the faster of the present precision and of `other`, which takes `first` seconds, with its seconds.

        One image for each thread comes before the others: a precision may take many times as long as the other.
        """
        one = images[: self._threads]
        try:
            self._timed(one)  # it also prepares the kernels
            if GAIN * self._timed(one) > _CLEARLY * first:
                return first, other
            self._timed(images)
            seconds = self._timed(images)
        except RuntimeError:  # an operator that has no bf16
            return first, other
        return (seconds, self.precision) if first >= GAIN * seconds else (first, other)

    def _timed(self, images: Tensor) -> float:
        """Return the seconds for an image of one of the threads, which share these images."""
        begun = perf_counter()
        self._pooled(images, False)
        return (perf_counter() - begun) / -(-len(images) // self._threads)

    def _pooled(self, images: Tensor, mirrored: bool) -> Tensor:
        parts = images.split(max(1, -(-len(images) // self._threads)))
        return torch.cat(list(self._pool.map(lambda part: self._of(part, mirrored), parts)))

    def _together(self, images: Tensor, mirrored: bool) -> Tensor:
        if self._on_cpu:
            set_threads(self._threads)
        return self._of(images, mirrored)

    def _keep(self, place: int, _: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        self._local.inputs[place] = inputs[0]

    def _run(self, images: Tensor) -> tuple[Any, list[Any]]:
        """Return the outputs of the network, and the input of each layer of its classifier, None if it did not run."""
        self._local.inputs = [None] * len(self.classifier.read)
        return self.model(images), self._local.inputs

    @torch.inference_mode()
    def _of(self, images: Tensor, mirrored: bool) -> Tensor:
        images = fit_size(images, self._size)
        if mirrored:
            images = images.flip(3).contiguous(memory_format=torch.channels_last)
        with autocast(self._device, self.precision):
            _, inputs = self._run(images)
        return self.classifier.features([each.float() for each in inputs]).cpu()


def _is_vector(given: Tensor) -> bool:
    """Return whether an input of a layer has one vector for each image, (B, d) or (B, d, 1, 1)."""
    return given.ndim == 2 or (given.ndim == 4 and given.shape[2:] == (1, 1))
