"""What the page asks the server beside prompts: addresses below /animate_anyone.

A handler takes the request's values and returns a value for JSON. An error of ours is answered
with status 400 and its words, so that the page can show them.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from ...animate_anyone.errors import AnimateAnyoneError
from . import messages as page
from .downloads import cancel_download, show_models, start_download
from .window_view import show_windows

Handler = Callable[[dict[str, Any]], Awaitable[Any]]

ROUTES: list[tuple[str, str, Handler]] = [  # method, path below /animate_anyone, handler
    ("GET", "/models", show_models),
    ("POST", "/download", start_download),
    ("POST", "/download/cancel", cancel_download),
    ("GET", "/windows", show_windows),
]


def add_routes() -> None:
    """Make the addresses known to the running server; in a process without one do nothing."""
    for method, path, handler in ROUTES:
        page.add_route(method, f"/animate_anyone{path}", _answering(handler))


def _answering(handler: Handler) -> page.Respond:
    async def respond(values: dict[str, Any]) -> tuple[int, Any]:
        try:
            return 200, await handler(values)
        except AnimateAnyoneError as error:
            return 400, {"error": str(error)}

    return respond
