"""Download one file over HTTP, and resume it after an interruption.

huggingface_hub does not offer this. Since release 1, `hf_hub_download` writes to a file with a
random name and starts again after every interruption; earlier releases resume, but report no
progress and cannot be cancelled. `snapshot_download` counts files, not bytes. Files here have
gigabytes, so the part that has arrived is kept together with its entity tag. The tag shows whether
the file on the server is still the same. Addresses and the offline switch are huggingface_hub's.
"""

import ssl
import time
from collections.abc import Callable
from functools import cache
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from ...protocols import Progress
from ..sets.record import HubFile

CHUNK_BYTES = 1 << 18
TIMEOUT_SECONDS = 15  # without data; cancelling may take as long as this
RETRIES = 5  # attempts in a row without new data, after the first data has arrived
PAUSE_SECONDS = 2.0
RANGE_BEYOND_END = 416

Report = Callable[[int, int | None], None]  # bytes received, and the total if it is known

# Errors that may be temporary. An OSError of the disk is not one of these.
_INTERRUPTED = (URLError, TimeoutError, ConnectionError, ssl.SSLError, HTTPException)


class _Replaced(ConnectionError):  # noqa: N818  (not a failure: the download starts again)
    pass


def transfer(
    file: HubFile,
    part: Path,  # the incomplete file; the bytes that it has are not downloaded again
    progress: Progress,  # bytes; if the total is unknown, it is the bytes received so far
) -> None:
    """Download a file to `part`. `progress` may raise to cancel; its exception is passed on."""
    from huggingface_hub import constants, hf_hub_url

    if constants.HF_HUB_OFFLINE:
        raise OSError("the environment sets HF_HUB_OFFLINE")
    url = hf_hub_url(file.repository, file.path, revision=file.revision)
    part.parent.mkdir(parents=True, exist_ok=True)
    total = file.size or 0

    def report(done: int, known_total: int | None) -> None:
        nonlocal total
        total = known_total or total
        progress(done, max(done, total))

    left, restarted = 1, False  # `left`: attempts
    while True:
        before = size_of(part)
        try:
            return _receive(url, part, report)
        except _Replaced:
            if restarted:  # the file on the server keeps changing
                raise
            restarted = True
            continue
        except _INTERRUPTED as error:
            left = RETRIES if size_of(part) > before else left - 1
            if left <= 0 or isinstance(error, HTTPError):
                raise
        time.sleep(PAUSE_SECONDS)
        report(size_of(part), None)  # the callback may raise to cancel a stalled transfer


def size_of(path: Path) -> int:
    """Return the size of a file in bytes, 0 if there is none."""
    return path.stat().st_size if path.is_file() else 0


def _receive(url: str, part: Path, report: Report) -> None:
    """Append the missing bytes to `part`; raise one of `_INTERRUPTED` if the connection fails.

    If the file on the server has changed, remove `part` and raise `_Replaced`.
    """
    tag_file = part.with_name(f"{part.name}.etag")
    tag = tag_file.read_text(encoding="utf-8") if tag_file.is_file() else ""
    start = size_of(part) if tag else 0
    headers = {"User-Agent": "comfyui-animate-anyone", "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
    try:
        answer = urlopen(
            Request(url, headers=headers), timeout=TIMEOUT_SECONDS, context=_tls_context()
        )
    except HTTPError as error:
        if error.code != RANGE_BEYOND_END or not start:
            raise
        if error.headers.get("Content-Range", "").endswith(f"/{start}"):
            return  # already complete
        raise _discarded(part, tag_file) from error
    with answer:
        new_tag = answer.headers.get("ETag", "")
        if start and answer.status == 206 and new_tag != tag:
            raise _discarded(part, tag_file)
        if not start or answer.status != 206:
            start = 0
            part.unlink(missing_ok=True)
        tag_file.write_text(new_tag, encoding="utf-8")
        _append(answer, part, start, report)


def _discarded(part: Path, tag_file: Path) -> _Replaced:
    """Remove an incomplete file of an earlier version; return the exception to raise."""
    part.unlink()
    tag_file.unlink()
    return _Replaced("the file was replaced while it was being downloaded")


def _append(answer: Any, part: Path, start: int, report: Report) -> None:  # noqa: ANN401
    length = answer.headers.get("Content-Length")
    total = start + int(length) if length else None
    done = start
    report(done, total)
    with part.open("ab") as stream:
        while block := answer.read1(CHUNK_BYTES):
            stream.write(block)
            done += len(block)
            report(done, total)
    if total is not None and size_of(part) != total:
        raise ConnectionError(f"the connection ended at byte {size_of(part)} of {total}")


@cache
def _tls_context() -> ssl.SSLContext:
    """Return a context with the system's certificates, and certifi's if it is installed.

    To read them takes 30 ms, so it is done once, not for each file and each attempt.
    """
    context = ssl.create_default_context()
    try:
        import certifi
    except ImportError:
        return context
    context.load_verify_locations(certifi.where())
    return context
