"""`automl serve`: answer predictions over HTTP."""

from __future__ import annotations

import os

import click

from automl.cli import completion
from automl.cli.options import SectionCommand, State, directory_option, option, section, verbose_option

server = section("Server")
_HOST, _PORT = "127.0.0.1", 8000
_TOKEN = "AUTOML_SERVE_TOKEN"


@click.command("serve", cls=SectionCommand, short_help="Answer predictions over HTTP.")
@click.argument("model", shell_complete=completion.studies)
@directory_option
@option(
    "--port",
    metavar="PORT",
    section="Server",
    type=click.IntRange(0, 65535),
    standard=str(_PORT),
    help="Port to listen on; 0 picks a free one.",
)
@server("--host", "HOST", _HOST, "Address to listen on. From other machines, requests need a token.")
@server(
    "--token",
    "auto|always|never",
    "auto",
    f"Ask for a token: always, or if other machines reach the address. ${_TOKEN} sets it.",
)
@option(
    "--threads",
    metavar="N",
    section="Server",
    type=click.IntRange(1),
    standard="all cores",
    help="Threads of the network.",
)
@option(
    "--max-image",
    metavar="MB",
    section="Server",
    type=click.FloatRange(0, 1000, min_open=True),
    standard="20",
    help="Largest image that is taken.",
)
@verbose_option
@click.pass_obj
def command(
    state: State,
    /,
    model: str,
    directory: str | None,
    port: int | None,
    host: str | None,
    token: str | None,
    threads: int | None,
    max_image: float | None,
) -> None:
    """Answer predictions of MODEL over HTTP: POST images to /predict; / describes the rest.

    MODEL is the name of a study, a study's folder, a model folder or a folder that `automl export --to onnx` wrote. It
    runs in onnxruntime; a model that was not exported yet is exported first. Ctrl-C stops the server.
    """
    from automl.cli.dashboard_access import Access, is_loopback
    from automl.cli.output import complain, say
    from automl.delivery.serve.limits import Limits
    from automl.delivery.serve.served_model import serve_model
    from automl.delivery.serve.server import listen, serve

    host = host or _HOST
    listening = listen(host, _PORT if port is None else port)
    with listening:
        found = serve_model(model, directory=directory or "studies", threads=threads or 0, note=complain)
        asked = _token(token, host)
        image_bytes = int(1e6 * (20 if max_image is None else max_image))
        limits = Limits(
            most_bytes=max(64_000_000, image_bytes + 1_000_000),
            image_bytes=image_bytes,
            # A page of another site knows no token, and a proxy may have any name.
            is_ours=(lambda name: True) if asked else Access.to(host, writable=False, token=False).is_ours,
            token=asked,
        )
        shown = f"[{host}]" if ":" in host else host
        if not is_loopback(host):
            known = "with the token" if asked else "and there is no token"
            say(f"automl: other machines can reach this address, {known}", flush=True)
        if asked and not _given_token():
            say(f"token: {asked}  (send the header 'Authorization: Bearer TOKEN')", flush=True)
        address = f"http://{shown}:{listening.getsockname()[1]}"
        say(f"serving {found.name} by {found.runtime} at {address}  (Ctrl-C stops it)", flush=True)
        state.when_stopped = " the server"
        serve(found, limits, listening)


def _token(asked: str | None, host: str) -> str | None:
    """Return what requests must know; None for nothing."""
    import secrets

    from automl.cli.dashboard_access import is_loopback
    from automl.errors import UsageError

    if asked not in (None, "auto", "always", "never"):
        raise UsageError(f"--token must be auto, always or never, got {asked!r}")
    given = _given_token()
    if asked == "never" or (asked != "always" and not given and is_loopback(host)):
        return None
    return given or secrets.token_urlsafe(16)


def _given_token() -> str:
    """Return the token of the environment, "" for none. Files that hold one often end with a line end."""
    return os.environ.get(_TOKEN, "").strip()
