"""The server of the nodes' process: adding routes to it, and sending events to open pages.

In a process without a server these functions do nothing.
"""

import sys
from collections.abc import Awaitable, Callable
from typing import Any

Respond = Callable[[dict[str, Any]], Awaitable[tuple[int, Any]]]  # values to status and JSON


def server() -> Any | None:
    """Return the running server, or None in a process that has none."""
    return getattr(getattr(sys.modules.get("server"), "PromptServer", None), "instance", None)


def add_route(method: str, path: str, respond: Respond) -> None:
    """Add a route to the server; `respond` gets the values of the query or of a JSON body."""
    if (running := server()) is None:
        return
    from aiohttp import web

    async def handle(request: web.Request) -> web.Response:
        values: Any = dict(request.query)
        if request.body_exists:
            try:
                values |= await request.json()
            except (ValueError, TypeError):
                return web.json_response({"error": "body got no JSON object."}, status=400)
        status, value = await respond(values)
        return web.json_response(value, status=status)

    running.routes.route(method, path)(handle)


def send(event: str, data: dict[str, Any]) -> None:
    """Send an event to every open page; may be called from any thread."""
    if (running := server()) is not None:
        running.send_sync(f"animate_anyone.{event}", data)
