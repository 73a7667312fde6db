"""Weight sets on the page: which files are present, and downloading the missing ones.

Only files of the core's tables are downloaded, and only after a click. One set at a time is
downloaded, in its own thread; every page can request the state and gets an event when it changes.
"""

import asyncio
import difflib
import logging
import shutil
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from ...animate_anyone.errors import AnimateAnyoneError, DownloadError, InputError
from ...animate_anyone.weights.hub.download import Get, clear_partial, fetch
from ...animate_anyone.weights.hub.transfer import transfer
from ..comfyui import folders
from . import messages as page
from .status import FileStatus, SetFile, WeightSet, file_status, weight_sets

REPORT_SECONDS = 0.25  # least time between two events of progress
SPEED_SECONDS = 5.0  # time over which the speed is measured

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Download:
    """The state of a running or ended download of a weight set."""

    set: str
    state: Literal["running", "done", "cancelled", "failed"]
    file: str = ""  # the one that is being fetched
    done: int = 0  # bytes, of the files that were not complete at the start
    total: int = 0  # bytes
    exact: bool = True  # False: `total` contains estimates of unknown sizes
    checking: bool = False  # the file is whole, its checksum is being computed
    speed: float = 0.0  # bytes a second
    error: str | None = None


class _Cancelled(Exception):  # noqa: N818  (not an error: the user wanted it)
    pass


def found_path(part: SetFile) -> Path | None:
    """Return the path at which this file's node finds it, or None; the download folder first."""
    name = part.file.to
    if part.role in ("detector", "estimator"):  # Load DWPose also looks into other packs' folders
        files = folders.onnx_files()
        return files.get(name) or next((p for n, p in files.items() if Path(n).name == name), None)
    return folders.listed_path(part.folder, name)


def status_of(part: SetFile) -> FileStatus:
    """Return the status of one file of a set."""
    return file_status(part, found_path(part), folders.download_folder(part.folder))


def known_set(name: Any) -> WeightSet:
    """Return the set of this name; InputError if it cannot be downloaded. A page sends the name."""
    known = weight_sets()
    published = [one.name for one in known.values() if one.files]
    if name in published:
        return known[name]
    listed = f"sets that can be downloaded are {', '.join(published)}"
    if isinstance(name, str) and name in known:
        reason = {
            "pack": "comes with the pack",
            "own": "has no published files",
            "hub": "has no known files",
        }
        why = reason[known[name].source]
        raise InputError(f"set got {name!r}, which {why}; {listed}.")
    near = difflib.get_close_matches(str(name), published, n=1)
    guess = f" Did you mean {near[0]!r}?" if near else ""
    raise InputError(f"set got {name!r}; {listed}.{guess}")


class Downloads:
    """At most one download at a time."""

    def __init__(
        self,
        report: Callable[[Mapping[str, Any]], None],  # called from the download's thread
        get: Get = transfer,
    ) -> None:
        self._send, self._get = report, get
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._now: Download | None = None
        self._sent_at = 0.0
        self._unsized: set[str] = set()  # files of unknown size
        self._speeds: deque[tuple[float, int]] = deque()

    @property
    def state(self) -> Download | None:
        """Return the running download, or the last one; None before the first."""
        return self._now

    def start(self, chosen: WeightSet) -> Download:
        """Start the download of a set's missing files and return its state."""
        with self._lock:
            if self._now is not None and self._now.state == "running":
                raise DownloadError(
                    f"set got {chosen.name!r} while {self._now.set!r} is being downloaded; "
                    "one set is downloaded at a time. Wait until it is complete, or cancel it."
                )
            states = [(part, status_of(part)) for part in chosen.files]
            lacking = [(part, state) for part, state in states if state.state != "present"]
            if not lacking:
                raise DownloadError(f"set got {chosen.name!r}, whose files are all present.")
            _require_space(chosen.name, lacking)
            self._stop.clear()
            self._speeds.clear()
            self._unsized = {state.name for _, state in lacking if state.size is None}
            self._now = Download(
                set=chosen.name,
                state="running",
                done=sum(state.bytes_there for _, state in lacking if state.state == "partial"),
                total=sum(state.estimate for _, state in lacking),
                exact=not self._unsized,
            )
            log.info("Downloading %s; licence: %s", chosen.title, chosen.licence)
            self._thread = threading.Thread(target=self._run, args=(lacking,), daemon=True)
            self._thread.start()
            return self._now

    def cancel(self) -> Download:
        """Stop the running download; downloaded parts are kept."""
        now = self._now
        if now is None or now.state != "running":
            raise DownloadError("cancel got no running download; there is nothing to stop.")
        self._stop.set()
        return now

    def wait(self, seconds: float) -> None:
        """Wait until the download has ended, at most this many seconds."""
        if self._thread is not None:
            self._thread.join(seconds)

    def _run(self, lacking: Sequence[tuple[SetFile, FileStatus]]) -> None:
        assert self._now is not None
        try:
            for part, state in lacking:
                self._fetch(part, state)
            ended = replace(self._now, state="done")
        except _Cancelled:
            ended = replace(self._now, state="cancelled")
        except AnimateAnyoneError as error:
            ended = replace(self._now, state="failed", error=str(error))
        except Exception as error:  # an error in a thread would be lost
            log.exception("The download of %s failed", self._now.set)
            reason = f"{type(error).__name__}: {error}"
            text = f"{self._now.file} could not be saved ({reason}). Check the folder, then resume."
            ended = replace(self._now, state="failed", error=text)
        log.info("Download of %s: %s", ended.set, ended.error or ended.state)
        self._show(replace(ended, speed=0.0, checking=False))

    def _fetch(self, part: SetFile, state: FileStatus) -> None:
        assert self._now is not None
        resumed = state.bytes_there if state.state == "partial" else 0
        before = self._now.done - resumed
        others = self._now.total - state.estimate
        folder = folders.download_folder(part.folder)

        def progress(done: int, total: int) -> None:
            if self._stop.is_set():
                raise _Cancelled
            if total:
                self._unsized.discard(state.name)
            whole = 0 < total == done
            self._report(part.file.to, before + done, others + (total or state.estimate), whole)

        progress(resumed, state.size or 0)
        fetch(part.file, folder, progress, self._get)
        clear_partial([part.file], folder)

    def _report(self, file: str, done: int, total: int, checking: bool) -> None:
        assert self._now is not None
        changed = file != self._now.file or checking != self._now.checking
        self._now = replace(
            self._now,
            file=file,
            done=done,
            total=total,
            exact=not self._unsized,
            checking=checking,
        )
        now = time.monotonic()
        if changed or now - self._sent_at >= REPORT_SECONDS:
            self._show(replace(self._now, speed=self._speed(now, done)))

    def _speed(self, now: float, done: int) -> float:
        self._speeds.append((now, done))
        while now - self._speeds[0][0] > SPEED_SECONDS:
            self._speeds.popleft()
        began, before = self._speeds[0]
        return max(0.0, (done - before) / (now - began)) if now > began else 0.0

    def _show(self, state: Download) -> None:
        self._now, self._sent_at = state, time.monotonic()
        self._send(asdict(state))


def _require_space(name: str, lacking: Sequence[tuple[SetFile, FileStatus]]) -> None:
    """Raise DownloadError if a disk has too little space or a folder cannot be used."""
    sizes: dict[Path, int] = {}  # bytes by folder
    for part, state in lacking:
        folder = folders.download_folder(part.folder)
        rest = state.estimate - (state.bytes_there if state.state == "partial" else 0)
        sizes[folder] = sizes.get(folder, 0) + max(0, rest)
    disks: dict[int, list[Path]] = {}  # folders on one disk
    free: dict[int, int] = {}  # bytes
    for folder in sizes:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            disk = folder.stat().st_dev
            free[disk] = shutil.disk_usage(folder).free
        except OSError as error:
            raise DownloadError(
                f"set got {name!r}, whose files go into {folder}, which cannot be used ({error}); "
                "it must be a folder that ComfyUI may write to. Change that, or name another "
                "folder in extra_model_paths.yaml."
            ) from error
        disks.setdefault(disk, []).append(folder)
    for disk, shared in disks.items():
        size = sum(sizes[folder] for folder in shared)
        if size > free[disk]:
            raise DownloadError(
                f"set got {name!r}, which needs {size / 1e9:.1f} GB more in "
                f"{' and '.join(map(str, shared))}; {free[disk] / 1e9:.1f} GB are free there. "
                "Free some space, then resume."
            )


# The only state that is kept between calls: a download belongs to the server, not to a page.
DOWNLOADS = Downloads(lambda state: page.send("download", dict(state)))


async def show_models(_: dict[str, Any]) -> dict[str, Any]:
    """Return all sets with their files, and the running or last download."""
    return await asyncio.to_thread(_models)


async def start_download(values: dict[str, Any]) -> dict[str, Any]:
    """Start the download of the set that `values` names."""
    chosen = known_set(values.get("set"))
    return asdict(await asyncio.to_thread(DOWNLOADS.start, chosen))


async def cancel_download(_: dict[str, Any]) -> dict[str, Any]:
    """Stop the running download."""
    return asdict(DOWNLOADS.cancel())


def _models() -> dict[str, Any]:
    sets = {
        name: {
            "title": one.title,
            "licence": one.licence,
            "source": one.source,
            "files": [asdict(status_of(part)) for part in one.files],
        }
        for name, one in weight_sets().items()
    }
    state = DOWNLOADS.state
    return {"sets": sets, "download": asdict(state) if state else None}
