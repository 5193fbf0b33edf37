"""Who may do what with a dashboard that is being served: checks in front of any WSGI application.

A page of another site that is open in the same browser can send requests to this machine, under its own name (DNS
rebinding: Jackson et al. 2007, "Protecting browsers from DNS rebinding attacks") or as a form. Other users of this
machine reach its ports, too.
"""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

READING = ("GET", "HEAD")
PARAMETER = "token"
FIRST_PERSON, LAST_PERSON = 1000, 60_000  # user ids that Linux gives to people
NO_LOGIN = ("nologin", "false", "sync")


@dataclass(frozen=True)
class Access:
    """What requests may do. `names`: host names besides IP addresses that a request may be addressed to.

    `token`: None, or what a browser must know; the first request has it in its address and gets a cookie.
    """

    names: frozenset[str]
    writable: bool = False
    token: str | None = None

    @classmethod
    def to(cls, host: str, *, writable: bool, token: bool) -> Access:
        """Return the access to a server at `host`, with a new token if there is to be one."""
        known = {"localhost", host, socket.gethostname(), socket.getfqdn()}
        names = frozenset(name.lower() for name in known if name)
        return cls(names, writable, secrets.token_urlsafe(16) if token else None)

    def refusal(self, environ: WSGIEnvironment) -> str | None:
        """Return why a request is refused, in one sentence; None if it may pass."""
        host = environ.get("HTTP_HOST", "")
        if not self.is_ours(host):
            return f"this dashboard is not at {host!r}; open the address that `automl dashboard` printed"
        if environ["REQUEST_METHOD"] not in READING:
            if not self.writable:
                return "this dashboard is read-only; start it with --writable to change the study"
            if not self._from_own_page(environ, host):
                return "another site sent this request, so nothing was changed"
        if self.token is not None and not self._knows_token(environ):
            return "the token is missing; open the whole address that `automl dashboard` printed"
        return None

    def is_ours(self, host: str) -> bool:
        """Return whether a Host header names this server."""
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        return name in self.names or _is_address(name)  # no other site is at an address that the user typed

    def _from_own_page(self, environ: WSGIEnvironment, host: str) -> bool:
        """Return whether the page that sent a change came from this server. Scripts send neither header."""
        origin = environ.get("HTTP_ORIGIN")
        try:
            same = origin is None or urlsplit(origin).netloc == host
        except ValueError:  # no address at all
            return False
        return same and environ.get("HTTP_SEC_FETCH_SITE", "same-origin") in ("same-origin", "none")

    def _knows_token(self, environ: WSGIEnvironment) -> bool:
        return any(
            secrets.compare_digest(given.encode(), (self.token or "").encode())
            for given in (_in_address(environ), _in_cookie(environ))
        )


def guarded(app: WSGIApplication, access: Access) -> WSGIApplication:
    """Return `app` behind the checks of `access`."""

    def checked(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        refusal = access.refusal(environ)
        if refusal is not None:
            start_response("403 Forbidden", [("Content-Type", "text/plain; charset=utf-8")])
            return [f"{refusal}\n".encode()]
        if access.token is not None and _in_address(environ):  # out of the address, which others may see
            cookie = f"{_cookie(environ)}={access.token}; Path=/; HttpOnly; SameSite=Strict"
            start_response("303 See Other", [("Location", _without_token(environ)), ("Set-Cookie", cookie)])
            return [b""]
        return app(environ, start_response)

    return checked


def is_loopback(host: str) -> bool:
    """Return whether only this machine reaches a server at `host`."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def is_shared() -> bool:
    """Return whether other people have an account on this machine; False where that cannot be seen."""
    try:
        import pwd
    except ImportError:  # Windows
        return False
    return any(
        FIRST_PERSON <= user.pw_uid < LAST_PERSON
        and user.pw_uid != os.getuid()
        and not user.pw_shell.endswith(NO_LOGIN)
        for user in pwd.getpwall()
    )


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _in_address(environ: WSGIEnvironment) -> str:
    return str(dict(parse_qsl(environ.get("QUERY_STRING", ""))).get(PARAMETER, ""))


def _in_cookie(environ: WSGIEnvironment) -> str:
    try:
        found = SimpleCookie(environ.get("HTTP_COOKIE", "")).get(_cookie(environ))
    except CookieError:
        return ""
    return str(found.value) if found is not None else ""


def _cookie(environ: WSGIEnvironment) -> str:
    """Return the cookie's name. Cookies are sent to all ports of a host, so it holds the port."""
    return f"automl-dashboard-{environ.get('SERVER_PORT', '')}"


def _without_token(environ: WSGIEnvironment) -> str:
    left = [pair for pair in parse_qsl(environ.get("QUERY_STRING", "")) if pair[0] != PARAMETER]
    path = "/" + environ.get("PATH_INFO", "/").lstrip("/\\")  # never the name of another host
    path = quote(path.encode("latin-1"), safe="/")  # a line end in it would begin another header
    return f"{path}?{urlencode(left)}" if left else path
