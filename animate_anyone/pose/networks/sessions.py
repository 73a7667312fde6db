"""ONNX sessions: opened once and shared, closed to free memory, and run in batches."""

import difflib
import logging
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from ...errors import InputError, WeightsError
from ..skeleton.layouts import known_layouts
from .backends import OPENCV, PROVIDERS, Backend, first_line, load
from .onnx_file import Header, Kind, Shape, read_header

_log = logging.getLogger(__name__)

_AHEAD = 32  # inputs that are prepared in advance

_Item = TypeVar("_Item")


class PoseSession:
    """One ONNX network.

    `close` frees its memory; the next `run` loads it again.
    """

    path: Path
    provider: str  # the one in use: a key of PROVIDERS, or OPENCV
    notes: tuple[str, ...]  # for the user, about the choice of provider
    header: Header

    def __init__(
        self, path: Path, provider: str, engine_cache: Path | None, name: str = "path"
    ) -> None:
        """Load the network; see `open_session`."""
        self.path = Path(path)
        self.header = read_header(self.path, name)
        self._load: Callable[[], tuple[Backend, tuple[str, ...]]] = lambda: load(
            self.path, self.header, provider, engine_cache, name
        )
        self._lock = threading.Lock()
        self._backend: Backend | None = None
        self._loaded()

    @property
    def input_shape(self) -> Shape:
        """Return (b, c, H, W) of the only input; b is None if any batch size is allowed."""
        return self.header.inputs[0].shape or ()

    @property
    def input_size(self) -> tuple[int, int]:
        """Return height and width of the only input in pixels."""
        height, width = self.input_shape[2:]
        if height is None or width is None:
            raise WeightsError(
                f"{self.path.name} got an input of any size; it must be fixed. Export it again."
            )
        return height, width

    @property
    def batch(self) -> int | None:
        """Return the batch size that every run must have; None: any."""
        fixed = self.input_shape[0]
        return (fixed or 1) if self.provider == OPENCV else fixed

    def run(
        self,
        tensor: np.ndarray,  # (b, c, H, W)
    ) -> list[np.ndarray]:
        """Return the outputs of the network in the file's order, as float32."""
        dtype = self.header.inputs[0].dtype
        tensor = np.ascontiguousarray(tensor, dtype=dtype)
        backend = self._loaded()
        try:
            outputs = backend.run(tensor)
        except Exception as error:  # providers raise exceptions of their own
            raise WeightsError(
                f"{self.path.name} got an array of {tensor.shape}; it failed on "
                f"{backend.provider}: {first_line(error)}. Choose a smaller batch, or provider cpu."
            ) from error
        return [np.asarray(output, np.float32) for output in outputs]

    def close(self) -> None:
        """Free the network's memory."""
        with self._lock:
            self._backend = None

    def _loaded(self) -> Backend:
        with self._lock:
            if self._backend is None:
                self._backend, self.notes = self._load()
                self.provider = self._backend.provider
                _log.info("%s runs on %s", self.path.name, self.provider)
                for note in self.notes:
                    _log.warning("%s", note)
            return self._backend


class SessionPool:
    """A pool of sessions: the same file and provider give the same session until `release`."""

    def __init__(self) -> None:
        """Create an empty pool."""
        self._sessions: dict[tuple[Any, ...], PoseSession] = {}
        self._lock = threading.Lock()

    def get(
        self,
        path: Path,
        provider: str = "auto",
        *,
        engine_cache: Path | None = None,
        name: str = "path",  # what the user calls the path, for messages
    ) -> PoseSession:
        """Return the session of a file; a file that has changed is loaded again."""
        try:
            state = Path(path).stat()
        except OSError as error:
            raise WeightsError(f"{name} got {path}; cannot read it: {error}. Check it.") from error
        key = (Path(path).resolve(), provider, engine_cache)
        version = (state.st_size, state.st_mtime_ns)
        with self._lock:
            for old in [k for k in self._sessions if k[:3] == key and k[3:] != version]:
                self._sessions.pop(old).close()
            if (*key, *version) not in self._sessions:
                session = open_session(path, provider, engine_cache=engine_cache, name=name)
                self._sessions[(*key, *version)] = session
            return self._sessions[(*key, *version)]

    def release(self) -> None:
        """Close all sessions; those still in use load their network again at the next run."""
        with self._lock:
            for session in self._sessions.values():
                session.close()
            self._sessions.clear()


def open_session(
    path: Path,  # an ONNX file
    provider: str = "auto",  # auto, or a key of PROVIDERS
    *,
    engine_cache: Path | None = None,  # folder in which TensorRT caches its engines
    name: str = "path",  # what the user calls the path, for messages
) -> PoseSession:
    """Load an ONNX network.

    `auto` takes the first of CUDA, DirectML and CoreML that runs, otherwise the CPU. Raises
    WeightsError if the file is not an ONNX network, PackageError if the provider does not run here.
    """
    if provider != "auto" and provider not in PROVIDERS:
        names = ["auto", *PROVIDERS]
        near = difflib.get_close_matches(provider, names, 1)
        hint = f"did you mean {near[0]}?" if near else "choose auto."
        raise InputError(f"provider got {provider!r}; it must be one of {', '.join(names)}; {hint}")
    if provider == "tensorrt" and engine_cache is None:
        raise InputError(
            "engine_cache got None; TensorRT takes minutes to build an engine and must cache it. "
            "Name a folder, or choose provider cuda."
        )
    return PoseSession(path, provider, engine_cache, name)


def require_kind(session: PoseSession, kind: Kind) -> None:
    """Raise WeightsError if a network's inputs and outputs are not those of this kind."""
    found = session.header.kind
    if found == kind:
        return
    numbers, layouts = known_layouts()
    rules = {
        "detector": "one list of boxes (1, N, 5 + classes), or (1, N, 5) after suppression",
        "estimator": f"two arrays (b, {numbers}, bins) for x and y ({layouts})",
    }
    what = f"it is the {found}; swap the two files" if found else "choose a file of DWPose"
    raise WeightsError(
        f"{kind} got {session.path.name} ({session.header}); it must turn pictures "
        f"(b, 3, H, W) of float numbers into {rules[kind]}; {what}."
    )


def run_batches(
    session: PoseSession,
    prepare: Callable[[_Item], np.ndarray],  # returns (3, H, W) float32; called in threads
    items: Sequence[_Item],
    size: int,  # inputs per run, if the network does not fix it
) -> Iterator[list[np.ndarray]]:  # outputs of each run, without padding
    """Run the network on all items, while threads prepare the next ones.

    Every run has the same batch size, and the last batch is padded, because GPU providers search
    for new algorithms, or build new engines, for every new shape.
    """
    size = session.batch or size
    ahead = max(size, _AHEAD // size * size)
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as threads:
        for first in range(0, len(items), ahead):
            ready = threads.map(prepare, items[first : first + ahead])
            while batch := list(islice(ready, size)):
                count = len(batch)
                batch += [np.zeros_like(batch[0])] * (size - count)
                tensor = np.stack(batch) if size > 1 else batch[0][None]
                yield [output[:count] for output in session.run(tensor)]
