"""The server of the nodes' process: adding routes to it, and sending events to open pages.

In a process without a server these functions do nothing.
"""

import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

Respond = Callable[[dict[str, Any]], Awaitable[tuple[int, Any]]]  # values to status and JSON


def server() -> Any | None:
    """Return the running server, or None in a process that has none."""
    return getattr(getattr(sys.modules.get("server"), "PromptServer", None), "instance", None)


def is_foreign(headers: Mapping[str, str]) -> bool:
    """Return whether another web site's page sent the request, in a browser of today.

    The host checks this itself only on addresses of this computer, and not with
    --enable-cors-header. A program that is no browser sends none of these headers.
    """
    site = headers.get("Sec-Fetch-Site")
    if site is not None:
        return site not in ("same-origin", "none")
    origin, host = headers.get("Origin"), headers.get("X-Forwarded-Host") or headers.get("Host")
    return origin is not None and urlsplit(origin).netloc.lower() != (host or "").lower()


def add_route(method: str, path: str, respond: Respond) -> None:
    """Add a route to the server; `respond` gets the values of the query or of a JSON body.

    Requests that change something (all but GET) are refused if another site's page sent them.
    """
    if (running := server()) is None:
        return
    from aiohttp import web

    async def handle(request: web.Request) -> web.Response:
        if method != "GET" and is_foreign(request.headers):
            error = "the request came from another site; only ComfyUI's own page may send it."
            return web.json_response({"error": error}, status=403)
        values: Any = dict(request.query)
        if request.body_exists:
            try:
                values |= await request.json()
            except (ValueError, TypeError, LookupError, RecursionError):
                return web.json_response({"error": "body got no JSON object."}, status=400)
        status, value = await respond(values)
        return web.json_response(value, status=status)

    running.routes.route(method, path)(handle)


def send(event: str, data: dict[str, Any]) -> None:
    """Send an event to every open page; may be called from any thread."""
    if (running := server()) is not None:
        running.send_sync(f"animate_anyone.{event}", data)
