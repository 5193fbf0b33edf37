"""`automl export`: write a model in another format, and prove that it answers the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from automl.cli import completion
from automl.cli.options import (
    SectionCommand,
    State,
    directory_option,
    json_option,
    option,
    quiet_option,
    verbose_option,
)

if TYPE_CHECKING:
    from automl.delivery.export.proof import Exported

_SECTION = "Export"


@click.command("export", cls=SectionCommand, short_help="Write a model as ONNX, for OpenVINO or torch.")
@click.argument("model", shell_complete=completion.studies)
@option("--to", section=_SECTION, metavar="onnx|openvino|torch", required=True, help="Format of the file.")
@option("--int8", section=_SECTION, is_flag=True, help="Compute in 8 bits: smaller and faster.")
@option(
    "--max-loss",
    section=_SECTION,
    type=float,
    metavar="X",
    help="How much of the metric int8 may lose; by default 0.01 or half a standard error.",
)
@option("--out", section=_SECTION, metavar="DIR", help="Folder to write; by default MODEL/onnx and so on.")
@option(
    "--data",
    section=_SECTION,
    metavar="DATA",
    help="Labelled images for the proof, if the study's own are gone.",
)
@option(
    "--factory",
    section=_SECTION,
    metavar="MODULE:FUNCTION",
    help="Function that builds the network, if it is not timm's.",
)
@directory_option
@json_option("Print the proof as one JSON object.")
@quiet_option
@verbose_option
@click.pass_obj
def command(
    state: State,
    /,
    model: str,
    to: str,
    int8: bool,
    max_loss: float | None,
    out: str | None,
    data: str | None,
    factory: str | None,
    directory: str | None,
) -> None:
    """Write MODEL in another format, run the file on held-out images, and keep it if it answers as the model does.

    MODEL is the name of a study, a study's folder or a model folder. The file takes decoded images of any size, and
    everything after that is inside. A script that calls it without automl lies beside it.
    """
    from automl.cli.output import complain, print_json
    from automl.delivery.export.model import export_model

    made = export_model(
        model,
        to=to,
        int8=int8,
        max_loss=max_loss,
        out=out,
        data=data,
        directory=directory or "studies",
        factory=factory,
        note=(lambda text: None) if state.quiet or state.json else complain,
    )
    if state.json:
        print_json(made.to_json())
    elif not state.quiet:
        _show(made)


def _show(made: Exported) -> None:
    from automl.cli.output import print_table, say, say_wrapped
    from automl.data.sources.base import counted
    from automl.review.describe import aligned
    from automl.terminal.printable import printable

    proof = made.proof
    agreed = f"{proof.equal:,} of {proof.rows:,} {made.which} images get the model's answer"
    rows = [
        ("written", printable(str(made.folder))),
        ("agreement", f"{agreed}; scores differ by at most {proof.difference:.2g}"),
        (proof.metric, f"{proof.value}, in torch {proof.torch_value:.4f}"),
        ("size", f"{made.size / 1e6:.1f} MB"),
    ]
    if made.int8:
        rows.append(("int8", f"{counted(made.int8, 'layer')}; {len(made.floats) + 1} in float"))
    if proof.unreadable:
        rows.append(("unreadable", f"{counted(proof.unreadable, 'image')}, left out"))
    for line in aligned(rows):
        say(line)
    say()
    say_wrapped(
        f"milliseconds a call, images of {proof.image[0]} x {proof.image[1]}, {proof.threads} threads:"
    )
    cells = [(str(one.batch), f"{one.p50:.1f}", f"{one.p95:.1f}") for one in proof.latency]
    print_table(("images", "p50", "p95"), cells, right=("images", "p50", "p95"))
    if made.own_holdout:
        say()
        say_wrapped(
            "The study has scored this model on these images before, and nothing was chosen by them now"
            f"{', but whether int8 is good enough' if made.int8 else ''}: this was no second look at the holdout."
        )
