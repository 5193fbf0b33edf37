"""The HTTP server of `automl dashboard`, for any WSGI application."""

from __future__ import annotations

import io
import socket
import socketserver
import sys
import time
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from automl.delivery.serve.address import address_error

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication


PATIENCE = 60.0  # seconds in which a client must send its request


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


class _Deadline(io.RawIOBase):
    """What a client sends, until a deadline: a byte now and then would keep a thread for ever."""

    def __init__(self, connection: socket.socket, seconds: float) -> None:
        self._connection = connection
        self._until = time.monotonic() + seconds

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        left = self._until - time.monotonic()
        if left <= 0:
            raise TimeoutError("the request took too long to arrive")
        before = self._connection.gettimeout()
        self._connection.settimeout(left)
        try:
            return self._connection.recv_into(buffer)
        finally:
            self._connection.settimeout(before)


class _Handler(WSGIRequestHandler):
    """Handles one request of a connection without logging it."""

    timeout = PATIENCE

    def setup(self) -> None:
        super().setup()
        self.rfile = io.BufferedReader(_Deadline(self.connection, self.timeout))

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing."""


def listen(app: WSGIApplication, host: str, port: int) -> WSGIServer:
    """Return a server of `app`, which listens already; port 0 picks a free one. Raises UsageError."""
    kind = _SixServer if ":" in host else _Server
    try:
        return make_server(host, port, app, server_class=kind, handler_class=_Handler)
    except (OSError, UnicodeError) as error:  # UnicodeError: of a name that no host can have
        raise address_error(error, host, port) from error
