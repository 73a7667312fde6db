"""Asking a server with a limit of time."""

import time
import urllib.error
import urllib.request
from typing import Any

from .server import Served, ServerError

__all__ = ["ServerError", "alive", "ask", "outcome"]


def outcome(
    served: Served,
    prompt_id: str,
    seconds: float | None = None,  # None: as long as the server works, however busy the machine
    pause: float = 0.3,  # most seconds between two questions
) -> dict[str, Any] | None:
    """Return a prompt's entry in the history; None if it does not end in time."""
    ends = time.monotonic() + (seconds or float("inf"))
    rest, patience = 0.02, served.client.patience()
    while time.monotonic() < ends:
        history = served.client.get(f"/history/{prompt_id}")
        if prompt_id in history:
            return history[prompt_id]
        try:
            patience.check(prompt_id)
        except TimeoutError:
            return None
        time.sleep(rest)
        rest = min(pause, rest * 1.3)
    return None


def alive(served: Served) -> bool:
    """Return whether the server answers."""
    return ask(served, "GET", "/system_stats")[0] == 200


def ask(
    served: Served,
    method: str,
    path: str,
    body: bytes | None = None,
    headers: dict[str, str] | None = None,
    seconds: float = 10,
) -> tuple[int, bytes]:
    """Return status and body of an answer; status 0 if there is none in time."""
    request = urllib.request.Request(
        served.client.address + path, body, headers or {}, method=method
    )
    try:
        with urllib.request.urlopen(request, timeout=seconds) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()
    except (OSError, ValueError) as error:
        return 0, str(error).encode()
