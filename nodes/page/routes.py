"""The routes below /animate_anyone that the page requests.

A handler takes the request's values and returns a value for JSON. For an `AnimateAnyoneError` the
response has status 400 and the error's text, which the page shows.
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
    """Add the routes to the running server; in a process without one do nothing."""
    for method, path, handler in ROUTES:
        page.add_route(method, f"/animate_anyone{path}", _answering(handler))


def _answering(handler: Handler) -> page.Respond:
    async def respond(values: dict[str, Any]) -> tuple[int, Any]:
        try:
            return 200, await handler(values)
        except AnimateAnyoneError as error:
            return 400, {"error": str(error)}

    return respond
