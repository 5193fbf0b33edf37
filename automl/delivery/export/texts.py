"""The README of an exported model."""

from __future__ import annotations

from automl.delivery.export.proof import Exported
from automl.final.predictor import Predictor
from automl.terminal.printable import printable

_NEEDS = {"onnx": "onnxruntime", "openvino": "openvino", "torch": "torch"}
_UNKNOWN = (
    "; and float32 (images,): how unlike the training images each is, above 1 as in 5 % of validation images"
)
_README = """# {name}: {to}{how}

```
pip install numpy pillow {needs}
python predict.py image.jpg
```
`predict.py` is all the code that it takes. The file takes decoded images, uint8 (images, height, width, {channels}) in
{order}, of any number and size, and returns float32 (images, {outputs}): {scores}{unknown}.
Resizing as in the training, normalisation, {mirrored}and {last} are inside.

## Proof
The file itself answered for {rows:,} {which} images, beside the model in torch:

| | this file | the model |
|---|---|---|
| {metric} | {value:.4f} ({low:.4f} to {high:.4f}) | {torch:.4f} |
| equal answers | {equal:,} of {rows:,} | |
| largest difference of scores | {difference:.2g} | |

{int8}{size:.1f} MB. One call with images of {height} x {width} pixels takes, on this machine with {threads} threads:

| images | p50 | p95 |
|---|---|---|
{latency}

`proof.json` has these numbers, `model.json` the classes and sizes, `labels.txt` the classes in the order of the
scores{card}.
"""


def readme(made: Exported, predictor: Predictor, *, card: bool) -> str:
    """Return the README of an export; `card`: the model's card lies beside it."""
    info, proof = predictor.info, made.proof
    regression = info.task == "regression"
    layers = (
        f"{made.int8} layers compute in int8"
        + (f", {len(made.floats)} stayed in float, as they cost too much" if made.floats else "")
        + ". "
    )
    return _README.format(
        name=printable(info.name),
        to=made.format,
        how=" in int8" if made.int8 else "",
        needs=_NEEDS[made.format],
        channels=info.in_chans,
        order="grey" if info.in_chans == 1 else "RGB order",
        outputs=info.n_outputs,
        scores="the values" if regression else "a probability for each class",
        unknown=_UNKNOWN if predictor.known is not None else "",
        mirrored="the mean over an image and its mirror image, " if predictor.mirrored else "",
        last="the units of the values" if regression else "probabilities",
        rows=proof.rows,
        which=made.which,
        metric=proof.metric,
        value=proof.value.value,
        low=proof.value.low,
        high=proof.value.high,
        torch=proof.torch_value,
        equal=proof.equal,
        difference=proof.difference,
        int8=layers if made.int8 else "",
        size=made.size / 1e6,
        height=proof.image[0],
        width=proof.image[1],
        threads=proof.threads,
        latency="\n".join(f"| {one.batch} | {one.p50:.1f} ms | {one.p95:.1f} ms |" for one in proof.latency),
        card=", and `model-card.md` says how the model was made" if card else "",
    )
