"""Refuse requests before any of their bytes are kept: too large or slow, of another host, or without the token."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any

from starlette.exceptions import HTTPException

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]
_DISCARDED = 2_000_000  # bytes of a refused request that are read
_LONGEST_NUMBER = 18  # digits; Python refuses to read thousands of them
_SLOWEST = 100_000  # bytes a second of a body, beyond the patience
_CLOSE = {"connection": "close"}
_OPEN = ("/health",)  # answered without a token: a load balancer has none


@dataclass(frozen=True)
class Limits:
    """What a request may be.

    `most_bytes` of a request, `most_images` in it, `image_bytes` of each; `is_ours` says whether a Host header is this
    server's name, and `token` is what "Authorization: Bearer TOKEN" must hold, None for none. `patience` is in seconds:
    headers must be sent in it, and a body in it and a second for each 100 kB.
    """

    most_bytes: int = 64_000_000
    most_images: int = 64
    image_bytes: int = 20_000_000
    is_ours: Callable[[str], bool] = lambda host: True
    token: str | None = None
    patience: float = 60.0


class Guard:
    """An ASGI application behind the checks of `limits`."""

    def __init__(self, app: App, limits: Limits) -> None:
        self._app = app
        self._limits = limits

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer 400, 401, 408 or 413, or hand the request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        if (refused := self._refusal(scope["path"], headers)) is not None:
            await _discarded(self._in_time(receive))
            await _answer(send, *refused)
            return
        taken, in_time = 0, self._in_time(receive)

        async def counted() -> Message:
            nonlocal taken
            message = await in_time()
            taken += len(message.get("body", b""))
            if taken > self._limits.most_bytes:
                raise HTTPException(413, self._too_large())
            return message

        begun = False

        async def noted(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, counted, noted)
        except asyncio.CancelledError:  # the server is stopping, and this request took longer than it waits
            if not begun:
                await _answer(send, 503, "the server is stopping")

    def _in_time(self, receive: Receive) -> Receive:
        """Return `receive` with a deadline for the whole body, which raises HTTPException."""
        clock = asyncio.get_running_loop().time
        until, more = clock() + self._limits.patience, True

        async def in_time() -> Message:
            nonlocal until, more
            if not more:
                return await receive()
            try:
                async with asyncio.timeout(until - clock()):
                    message = await receive()
            except TimeoutError:
                raise HTTPException(408, "the request took too long to arrive", _CLOSE) from None
            until += len(message.get("body", b"")) / _SLOWEST
            more = bool(message.get("more_body", False))
            return message

        return in_time

    def _refusal(self, path: str, headers: dict[str, str]) -> tuple[int, str] | None:
        host = headers.get("host", "")
        if not self._limits.is_ours(host):
            return 400, f"this server is not at {host!r}"
        token = self._limits.token
        if token is not None and path not in _OPEN:
            given = headers.get("authorization", "").removeprefix("Bearer ")
            # Clients send what is not ASCII in UTF-8, and headers are read as Latin-1.
            if not secrets.compare_digest(given.encode("latin-1"), token.encode()):
                return 401, "the token is missing: send the header 'Authorization: Bearer TOKEN'"
        length = headers.get("content-length", "0")
        if not length.isdecimal() or len(length) > _LONGEST_NUMBER or int(length) > self._limits.most_bytes:
            return 413, self._too_large()
        return None

    def _too_large(self) -> str:
        return f"a request may have {self._limits.most_bytes / 1e6:g} MB at most"


async def _discarded(receive: Receive) -> None:
    """Read the rest of a small request: a client that is still sending may never see the answer otherwise."""
    taken, more = 0, True
    while more and taken < _DISCARDED:
        try:
            message = await receive()
        except HTTPException:  # it is sent too slowly
            return
        taken += len(message.get("body", b""))
        more = bool(message.get("more_body", False))


async def _answer(send: Send, status: int, detail: str) -> None:
    body = json.dumps({"detail": detail}).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),
    ]
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
