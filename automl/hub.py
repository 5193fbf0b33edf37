"""Whether the Hugging Face hub may be asked, and whether it answers."""

from __future__ import annotations

import os
import sys
import threading
import urllib.error
import urllib.request
from typing import Any

HUB_SECONDS = 2.0  # how long the one question whether the hub answers may take


def hub_is_off() -> bool:
    """Return whether HF_HUB_OFFLINE switches the hub off."""
    constants = _constants()
    read_at_import = constants is not None and bool(constants.HF_HUB_OFFLINE)
    return read_at_import or os.environ.get("HF_HUB_OFFLINE", "") not in ("", "0")


def hub_address() -> str:
    """Return the address of the hub, which HF_ENDPOINT may change."""
    constants = _constants()
    if constants is not None:
        return str(constants.ENDPOINT)
    return os.environ.get("HF_ENDPOINT") or "https://huggingface.co"


def hub_answers(seconds: float = HUB_SECONDS) -> bool:
    """Return whether the hub may be asked and answers; asked once, without retries, through a proxy if one is set."""
    if hub_is_off():
        return False
    answers: list[bool] = []
    address = hub_address()
    # Looking up a name knows no timeout: the thread is left behind where it hangs.
    thread = threading.Thread(target=lambda: answers.append(_answers(address, seconds)), daemon=True)
    thread.start()
    thread.join(seconds)
    return any(answers)


def _constants() -> Any:
    """The settings of `huggingface_hub`, where it is imported: importing it would settle HF_HUB_OFFLINE for good."""
    return sys.modules.get("huggingface_hub.constants")


def _answers(address: str, seconds: float) -> bool:
    try:
        with urllib.request.urlopen(urllib.request.Request(address, method="HEAD"), timeout=seconds):
            return True
    except urllib.error.HTTPError:
        return True  # it answers
    except (OSError, ValueError):
        return False
