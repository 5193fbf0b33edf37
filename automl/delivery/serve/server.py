"""Listen, and answer until the process is stopped."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from automl.delivery.needed import require
from automl.delivery.serve.address import address_error
from automl.delivery.serve.limits import Limits
from automl.delivery.serve.served_model import ServedModel

if TYPE_CHECKING:
    import uvicorn

_MOST_OPEN = 256  # connections; further ones are told to come again (503)


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens. Raises UsageError if the address is taken or is none of this machine's."""
    for package in ("fastapi", "uvicorn", "python_multipart"):
        require(package, "serve")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen(_MOST_OPEN)
    except (OSError, UnicodeError) as error:  # UnicodeError: of a name that no host can have
        listening.close()
        raise address_error(error, host, port) from error
    return listening


def make_server(model: ServedModel, limits: Limits) -> uvicorn.Server:
    """Return a server that is not running yet."""
    import uvicorn

    from automl.delivery.serve.app import make_app
    from automl.delivery.serve.patience import patient

    settings = uvicorn.Config(
        make_app(model, limits),
        http=patient(limits.patience),
        ws="none",
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_keep_alive=10,
        timeout_graceful_shutdown=5,
        limit_concurrency=_MOST_OPEN,
    )
    return uvicorn.Server(settings)


def serve(model: ServedModel, limits: Limits, listening: socket.socket) -> None:
    """Answer requests until Ctrl-C or SIGTERM; requests that run then are answered first, for at most 5 s."""
    make_server(model, limits).run(sockets=[listening])
