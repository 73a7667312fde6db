"""The routes of the page: odd queries, bodies, headers and methods, and sixteen at once."""

import json
import random
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlencode

from ..files.mutations import HOSTILE, damaged
from ..order import Order
from ..verdict import ACCEPTED, CLEAR, FAULT, Tally, Verdict
from .server import Served, servers
from .talk import ask

FULL, FEW = 400, 40  # requests to each host
PATHS = ("/models", "/windows", "/download", "/download/cancel", "/unknown", "/models/../windows")
METHODS = ("GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS")
CHARSETS = ("utf-8", "utf-16", "latin-1", "cp037", "no-such-charset", "", "\x7f")
NAMES = ("frames", "length", "overlap", "loop", "shift", "set", "x")
VALUES = (
    *(
        "24",
        "0",
        "-1",
        "1e9",
        "nan",
        "",
        "10000",
        "512",
        "511",
        "9" * 4299,
        "true",
        "[]",
        "moore\0",
    ),
    *("a" * 3000, "../../etc", "24.5", "\u0664", "0x10", "1_000"),
)
SITES = ({}, {"Origin": "https://elsewhere.example"}, {"Sec-Fetch-Site": "cross-site"})
ANSWERS = 5.0  # seconds within which the server must answer others meanwhile


def routes(order: Order) -> list[Tally]:
    """Send odd requests to a server of each ComfyUI."""
    count = FEW if order.short else FULL
    return [each(served, order.seed, count) for served in servers(order.folder, order.host)]


def each(served: Served, seed: int, count: int) -> Tally:
    """Send odd requests to one server. No request names a set that can be downloaded."""
    tally = Tally(f"requests to the page's routes, ComfyUI {served.version}")
    rng = random.Random(f"{seed} routes {served.version}")
    for _ in range(count):
        method, path = rng.choice(METHODS), f"/animate_anyone{rng.choice(PATHS)}"
        query = {rng.choice(NAMES): rng.choice(VALUES) for _ in range(rng.randrange(4))}
        query.pop("set", None)
        body, headers = _body(rng), dict(rng.choice(SITES))
        if body is not None:
            charset = rng.choice(CHARSETS)
            headers["Content-Type"] = f"application/json; charset={charset}"
        told = f"{method} {path}?{urlencode(query)} {str(body)[:80]} {headers}"
        status, answer = ask(served, method, f"{path}?{urlencode(query)}", body, headers)
        tally.add(_verdict(method, status, answer), told)
    tally.add(_many(served), "sixteen at once")
    return tally


def _body(rng: random.Random) -> bytes | None:
    if rng.random() < 0.4:
        return None
    values = {rng.choice(NAMES): rng.choice(HOSTILE) for _ in range(rng.randrange(4))}
    values["set"] = rng.choice((None, "none", "aa-mini", 3, [], {}, "moor", "\0", "a" * 9999))
    text = json.dumps(rng.choice((values, [values], values, None, "x", [["a", 1]], [1, 2])))
    data = text.replace('"DEEP"', "[" * 100_000).encode()
    return damaged(data, rng) if rng.random() < 0.3 else data


def _verdict(method: str, status: int, answer: bytes) -> Verdict:
    if 200 <= status < 300:
        return Verdict(ACCEPTED)
    if 400 <= status < 500:
        return Verdict(CLEAR, answer.decode("utf-8", "replace"))
    return Verdict(FAULT, f"{status} {answer[:300]!r}")


def _many(served: Served) -> Verdict:
    """Ask for the windows of the longest clip sixteen times at once, and for something else."""
    path = "/animate_anyone/windows?frames=10000&length=512&overlap=511"
    with ThreadPoolExecutor(16) as pool:
        asked = [pool.submit(ask, served, "GET", path, seconds=60.0) for _ in range(16)]
        time.sleep(0.05)
        started = time.monotonic()
        status, _ = ask(served, "GET", "/system_stats", seconds=60)
        waited = time.monotonic() - started
        found = {each.result()[0] for each in asked}
    if status != 200 or waited > ANSWERS or not found <= {200, 400}:
        return Verdict(FAULT, f"{found}; another request waited for {waited:.1f} s")
    return Verdict(ACCEPTED)
