"""How an exported model is called without automl: the proof of an export uses these functions, and its folder a copy.

They need numpy, Pillow and the runtime of the format.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from automl.documents.json_file import read_json

Run = Callable[[np.ndarray], list[np.ndarray]]


def decode(file: Any, model: dict[str, Any]) -> np.ndarray:
    """Return the pixels of an image: uint8 (1, H, W, C), upright, on white, RGB or grey."""
    image = file if isinstance(file, Image.Image) else Image.open(file)
    image.draft(None, (model["size"], model["size"]))  # a large JPEG is decoded at a fraction of its size
    image = ImageOps.exif_transpose(image)
    if image.mode[0] in "IF":  # more than 8 bits
        black, white = model["pixel_range"] or ((0, 1) if image.mode == "F" else (0, 65535))
        values = np.nan_to_num(np.asarray(image, np.float64), nan=black, posinf=white, neginf=black)
        values = (values - black).clip(0, white - black) * (255 / (white - black))
        image = Image.fromarray(values.round().astype(np.uint8))
    elif image.has_transparency_data:
        white_paper = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white_paper, image.convert("RGBA"))
    image = image.convert("RGB").convert("L" if model["channels"] == 1 else "RGB")
    if model["resized_by_caller"]:
        image = resized(image, model["size"], model["resize"] == "crop")
    pixels = np.array(image)
    return pixels.reshape(1, *pixels.shape[:2], model["channels"])


def resized(image: Image.Image, size: int, crop: bool) -> Image.Image:
    """Return the central square of an image, or the whole of it, as a square of `size` pixels a side."""
    side = min(image.size)
    width, height = (side, side) if crop else image.size
    left, top = (image.width - width) / 2, (image.height - height) / 2
    how = Image.Resampling.HAMMING if side > size else Image.Resampling.BICUBIC
    box = (left, top, left + width, top + height)
    return image.resize((size, size), how, box=box, reducing_gap=2.0)


def open_onnx(folder: Path) -> Run:
    """Return the function from pixels to scores, and to how unknown an image is if the model knows that."""
    import onnxruntime

    session = onnxruntime.InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"])
    return lambda pixels: session.run(None, {"images": pixels})


def open_openvino(folder: Path) -> Run:
    """Return the function from pixels to scores, and to how unknown an image is if the model knows that."""
    import openvino

    compiled = openvino.Core().compile_model(folder / "model.xml", "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return lambda pixels: list(compiled(pixels).to_tuple())


def open_torch(folder: Path) -> Run:
    """Return the function from pixels to scores, and to how unknown an image is if the model knows that."""
    import torch

    network = torch.export.load(folder / "model.pt2").module()

    def run(pixels: np.ndarray) -> list[np.ndarray]:
        made = network(torch.from_numpy(pixels))
        return [one.detach().numpy() for one in (made if isinstance(made, (tuple, list)) else (made,))]

    return run


def answer(outputs: list[Any], model: dict[str, Any]) -> dict[str, Any]:
    """Return what the outputs for one image mean: its scores, and perhaps how unknown it is (above 1: unusual)."""
    named = {name: float(score) for name, score in zip(model["classes"], outputs[0], strict=True)}
    more = {"unknown": float(outputs[1])} if len(outputs) > 1 else {}
    if model["task"] == "classification":
        return {"label": max(named, key=named.__getitem__), "probabilities": named, **more}
    if model["task"] == "multilabel":
        return {"labels": [name for name, p in named.items() if p >= 0.5], "probabilities": named, **more}
    return {"values": named, **more}


OPENERS: dict[str, Callable[[Path], Run]] = {
    "onnx": open_onnx,
    "openvino": open_openvino,
    "torch": open_torch,
}

_HEAD = '''"""Predict with this model: python predict.py IMAGE..."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

Run = Callable[[np.ndarray], list[np.ndarray]]
'''
_FOOT = """if __name__ == "__main__":
    folder = Path(__file__).parent
    model = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    run = {opener}(folder)
    for file in sys.argv[1:]:
        try:
            pixels = decode(file, model)
        except (OSError, ValueError, Image.DecompressionBombError) as error:
            print(json.dumps({{"file": file, "error": str(error)}}))
            continue
        outputs = run(pixels)
        print(json.dumps({{"file": file, **answer([output[0] for output in outputs], model)}}))
"""


def caller_text(kind: str) -> str:
    """Return predict.py for a format: it needs numpy, Pillow and the runtime of the format."""
    opener = OPENERS[kind]
    parts = [_HEAD, *(inspect.getsource(function) for function in (resized, decode, opener, answer))]
    return "\n\n".join([*parts, _FOOT.format(opener=opener.__name__)])


def read_model(folder: Path) -> dict[str, Any]:
    """Return model.json of an exported folder. Raises OSError or ValueError if it cannot be read."""
    said: dict[str, Any] = read_json(folder / "model.json")
    return said
