"""Close connections whose clients send a request, or take its answer, for too long: a byte at a time keeps one open."""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

from uvicorn.protocols.http.auto import AutoHTTPProtocol

_TIMEOUT = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


class PatientProtocol(asyncio.Protocol):
    """uvicorn's protocol, with a deadline for the headers of each request and for each answer that is not taken.

    `limits.Guard` has one for bodies. Subclasses set `seconds`.
    """

    seconds: ClassVar[float]

    def __init__(self, **settings: Any) -> None:
        self._inner: Any = AutoHTTPProtocol(**settings)
        self._transport: Any = None
        self._reading: asyncio.TimerHandle | None = None
        self._writing: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._inner.connection_made(transport)
        self._watch_headers()

    def data_received(self, data: bytes) -> None:
        self._inner.data_received(data)
        self._watch_headers()

    def eof_received(self) -> bool | None:
        self._inner.eof_received()
        return None

    def connection_lost(self, exc: Exception | None) -> None:
        for timer in (self._reading, self._writing):
            if timer is not None:
                timer.cancel()
        self._inner.connection_lost(exc)

    def pause_writing(self) -> None:
        self._inner.pause_writing()
        self._writing = asyncio.get_running_loop().call_later(self.seconds, self._transport.abort)

    def resume_writing(self) -> None:
        self._inner.resume_writing()
        if self._writing is not None:
            self._writing.cancel()

    def _watch_headers(self) -> None:
        """Start the timer with the first byte outside of a request, and stop it when the headers are there."""
        if not self._is_between_requests():
            if self._reading is not None:
                self._reading.cancel()
            self._reading = None
        elif self._reading is None:
            self._reading = asyncio.get_running_loop().call_later(self.seconds, self._give_up)

    def _is_between_requests(self) -> bool:
        cycle = self._inner.cycle
        return cycle is None or bool(cycle.response_complete)

    def _give_up(self) -> None:
        if self._is_between_requests():
            self._transport.write(_TIMEOUT)
            self._transport.close()


def patient(seconds: float) -> type[PatientProtocol]:
    """Return the protocol with these seconds of patience."""
    return type("_Patient", (PatientProtocol,), {"seconds": seconds})
