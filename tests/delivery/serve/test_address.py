"""Addresses at which `automl serve` and `automl dashboard` cannot listen."""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import Any

import pytest

from automl.cli.dashboard_server import listen as listen_for_dashboard
from automl.delivery.serve.address import address_error
from automl.errors import UsageError

for needed in ("fastapi", "uvicorn", "python_multipart"):
    pytest.importorskip(needed)

# Below the check, as it imports what may not be installed.
from automl.delivery.serve.server import listen  # noqa: E402


@pytest.mark.parametrize("host", ["nosuch.invalid", "http://127.0.0.1", "192.0.2.1", f"{'a' * 70}.invalid"])
@pytest.mark.parametrize("open_socket", [listen, lambda *at: listen_for_dashboard(lambda *_: [], *at)])
def test_host_that_is_not_this_machine_is_told_as_that(host: str, open_socket: Callable[..., Any]) -> None:
    with pytest.raises(
        UsageError, match=rf"--host must be a name or an address of this machine, got '{host}' \("
    ):
        open_socket(host, 0)


def test_port_that_is_taken_or_not_allowed_comes_with_another() -> None:
    taken = OSError(errno.EADDRINUSE, "Address already in use")
    assert str(address_error(taken, "::1", 8000)).endswith(
        "got ::1:8000 (Address already in use); try --port 8001"
    )
    assert str(address_error(taken, "::1", 65535)).endswith("try --port 0")
    denied = address_error(PermissionError(errno.EACCES, "Permission denied"), "127.0.0.1", 80)
    assert "got 80 (Permission denied): give one above 1023" in str(denied)
