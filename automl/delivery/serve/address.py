"""Say why a server cannot listen at an address."""

from __future__ import annotations

import errno
import socket

from automl.errors import UsageError, reason_of

LAST_PORT = 65535


def address_error(error: OSError | UnicodeError, host: str, port: int) -> UsageError:
    """Return the error for an address at which a server cannot listen, with what to give instead."""
    why = (error.strerror if isinstance(error, OSError) else None) or reason_of(error)
    if isinstance(error, UnicodeError | socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
        return UsageError(
            f"--host must be a name or an address of this machine, got {host!r} ({why}): leave it out for this machine "
            "alone, or give 0.0.0.0 for others as well"
        )
    if error.errno == errno.EACCES:
        return UsageError(
            f"--port must be one that this user may open, got {port} ({why}): give one above 1023"
        )
    other = port + 1 if port < LAST_PORT else 0
    return UsageError(f"--host and --port must be free, got {host}:{port} ({why}); try --port {other}")
