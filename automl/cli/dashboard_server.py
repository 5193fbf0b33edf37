"""The HTTP server of `automl dashboard`, for any WSGI application."""

from __future__ import annotations

import socket
import socketserver
import sys
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from automl.errors import UsageError

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication


PATIENCE = 60.0  # seconds that a client may send nothing within a request


class _Server(socketserver.ThreadingMixIn, WSGIServer):
    """Serves each request in a thread: a page sends several, and a slow one must not block the others."""

    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print nothing about a client that went away, or never sent what it began."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class _SixServer(_Server):
    """The server on an IPv6 address."""

    address_family = socket.AF_INET6


class _Handler(WSGIRequestHandler):
    """Handles requests without logging them."""

    timeout = PATIENCE

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing."""


def listen(app: WSGIApplication, host: str, port: int) -> WSGIServer:
    """Return a server of `app`, which listens already; port 0 picks a free one. Raises UsageError."""
    kind = _SixServer if ":" in host else _Server
    try:
        return make_server(host, port, app, server_class=kind, handler_class=_Handler)
    except OSError as error:
        raise UsageError(
            f"--host and --port must be free, got {host}:{port} ({error.strerror}); try --port {port + 1}"
        ) from error
