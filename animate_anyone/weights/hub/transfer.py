"""One file over HTTP, which goes on where it was stopped.

What huggingface_hub offers does not do this. `hf_hub_download` writes to a file of a random name
since release 1 and begins anew after every stop; earlier releases resume, but tell nobody how far
they are and cannot be stopped. `snapshot_download` counts files, not bytes. Files here have
gigabytes, so what has arrived is kept beside its entity tag, which tells whether the rest still
belongs to it. Addresses and the switch for working offline are huggingface_hub's.
"""

import ssl
import time
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from ...protocols import Progress
from ..sets.record import HubFile

CHUNK_BYTES = 1 << 18
TIMEOUT_SECONDS = 15  # without a byte; as long as this may a stop have to wait
RETRIES = 5  # in a row without a byte, once some have arrived
PAUSE_SECONDS = 2.0
RANGE_BEYOND_END = 416

Tell = Callable[[int, int | None], None]  # of bytes that are there, and of all where that is known

# What may pass by itself. An OSError of the disk is none of these.
_INTERRUPTED = (URLError, TimeoutError, ConnectionError, ssl.SSLError, HTTPException)


class _Replaced(ConnectionError):  # noqa: N818  (no failure: the file is begun anew)
    pass


def transfer(
    file: HubFile,
    part: Path,  # where it lies until it is whole; what is there already is not fetched again
    progress: Progress,  # in bytes; without a length from hub or table, of those that are there
) -> None:
    """Fetch a file to `part`. What `progress` raises stops it and passes through."""
    from huggingface_hub import constants, hf_hub_url

    if constants.HF_HUB_OFFLINE:
        raise OSError("the environment sets HF_HUB_OFFLINE")
    url = hf_hub_url(file.repository, file.path, revision=file.revision)
    part.parent.mkdir(parents=True, exist_ok=True)
    total = file.size or 0

    def tell(done: int, whole: int | None) -> None:
        nonlocal total
        total = whole or total
        progress(done, max(done, total))

    left, anew = 1, False
    while True:
        before = size_of(part)
        try:
            return _receive(url, part, tell)
        except _Replaced:
            if anew:  # it changes all the time
                raise
            anew = True
            continue
        except _INTERRUPTED as error:
            left = RETRIES if size_of(part) > before else left - 1
            if left <= 0 or isinstance(error, HTTPError):
                raise
        time.sleep(PAUSE_SECONDS)
        tell(size_of(part), None)  # which may stop a line that stays dead


def size_of(path: Path) -> int:
    """Return the bytes of a file, 0 if there is none."""
    return path.stat().st_size if path.is_file() else 0


def _receive(url: str, part: Path, tell: Tell) -> None:
    """Add to `part` what it lacks; raise one of `_INTERRUPTED` if the rest did not come.

    Where the file has changed since, `part` is removed and `_Replaced` raised.
    """
    tag_file = part.with_name(f"{part.name}.etag")
    tag = tag_file.read_text(encoding="utf-8") if tag_file.is_file() else ""
    start = size_of(part) if tag else 0
    headers = {"User-Agent": "comfyui-animate-anyone", "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
    try:
        answer = urlopen(Request(url, headers=headers), timeout=TIMEOUT_SECONDS, context=_trust())
    except HTTPError as error:
        if error.code != RANGE_BEYOND_END or not start:
            raise
        if error.headers.get("Content-Range", "").endswith(f"/{start}"):
            return  # it was whole already
        raise _forgotten(part, tag_file) from error
    with answer:
        new_tag = answer.headers.get("ETag", "")
        if start and answer.status == 206 and new_tag != tag:
            raise _forgotten(part, tag_file)
        if not start or answer.status != 206:
            start = 0
            part.unlink(missing_ok=True)
        tag_file.write_text(new_tag, encoding="utf-8")
        _append(answer, part, start, tell)


def _forgotten(part: Path, tag_file: Path) -> _Replaced:
    part.unlink()
    tag_file.unlink()
    return _Replaced("the file was replaced while it was being fetched")


def _append(answer: Any, part: Path, start: int, tell: Tell) -> None:  # noqa: ANN401
    length = answer.headers.get("Content-Length")
    total = start + int(length) if length else None
    done = start
    tell(done, total)
    with part.open("ab") as stream:
        while block := answer.read1(CHUNK_BYTES):
            stream.write(block)
            done += len(block)
            tell(done, total)
    if total is not None and size_of(part) != total:
        raise ConnectionError(f"the connection ended at byte {size_of(part)} of {total}")


def _trust() -> ssl.SSLContext:
    """Return the system's certificates, and those that Python packages bring where it has none."""
    context = ssl.create_default_context()
    try:
        import certifi
    except ImportError:
        return context
    context.load_verify_locations(certifi.where())
    return context
