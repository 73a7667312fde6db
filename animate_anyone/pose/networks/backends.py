"""Backends that run an ONNX network: onnxruntime with one of its providers, or OpenCV.

There is no silent fallback. If a provider was chosen by name and does not run, PackageError is
raised. If it was chosen by `auto`, the next provider is used and a note says so.
"""

import threading
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

import numpy as np

from ... import opencv as cv2
from ...errors import AnimateAnyoneError, PackageError, WeightsError
from .onnx_file import Header

PROVIDERS = {
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
    "directml": "DmlExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
    "cpu": "CPUExecutionProvider",
}
OPENCV = "opencv"  # used where onnxruntime is not installed
_AUTOMATIC = (
    "cuda",
    "directml",
    "coreml",
)  # in this order; not TensorRT, whose engines take minutes to build
_WHEELS = {
    "cuda": "onnxruntime-gpu (after: pip uninstall onnxruntime), CUDA as torch's",
    "tensorrt": "onnxruntime-gpu (after: pip uninstall onnxruntime) and tensorrt",
    "directml": "onnxruntime-directml (Windows, after: pip uninstall onnxruntime)",
    "coreml": "onnxruntime (macOS)",
    "cpu": "onnxruntime",
}
_NO_RUNTIME = (
    "onnxruntime is not installed: OpenCV runs the networks on the CPU, which is slower and "
    "cannot run every network. Install one of onnxruntime, onnxruntime-gpu, "
    "onnxruntime-directml"
)


class Backend(Protocol):
    """A network in memory."""

    provider: str

    def run(self, tensor: np.ndarray) -> list[np.ndarray]:
        """Return the outputs for one input."""
        ...


def load(
    path: Path,
    header: Header,  # of the same file
    provider: str,  # auto, or a key of PROVIDERS
    engine_cache: Path | None,  # for TensorRT
    name: str = "path",  # what the user calls the path, for messages
) -> tuple[Backend, tuple[str, ...]]:  # and notes for the user
    """Load a network; PackageError if the provider does not run here."""
    try:
        import onnxruntime
    except ImportError as error:
        if provider not in ("auto", "cpu"):
            raise _missing(provider, "onnxruntime is not installed") from error
        return _OpenCv(path, header, name), (_NO_RUNTIME,)
    offered = onnxruntime.get_available_providers()
    available = [short for short, full in PROVIDERS.items() if full in offered]
    if provider == "auto":
        return _load_automatic(onnxruntime, path, header, available, name)
    if provider not in available:
        raise _missing(provider, f"this onnxruntime has {', '.join(available)}")
    try:
        return _OnnxRuntime(onnxruntime, path, header, provider, engine_cache, name), ()
    except _ProviderError as error:
        raise _missing(provider, str(error)) from error


def _load_automatic(
    onnxruntime: ModuleType, path: Path, header: Header, available: Sequence[str], name: str
) -> tuple[Backend, tuple[str, ...]]:
    notes = []
    for provider in _AUTOMATIC:
        if provider in available:
            try:
                session = _OnnxRuntime(onnxruntime, path, header, provider, None, name)
                return session, tuple(notes)
            except _ProviderError as error:
                notes.append(f"{path.name} does not run on {provider}: {error}")
    return _OnnxRuntime(onnxruntime, path, header, "cpu", None, name), tuple(notes)


class _ProviderError(AnimateAnyoneError):
    """A provider that onnxruntime offers does not run."""


class _OnnxRuntime:
    """A network in onnxruntime; on every provider except the CPU it is run once as a test."""

    def __init__(
        self,
        onnxruntime: ModuleType,
        path: Path,
        header: Header,
        provider: str,
        engine_cache: Path | None,
        name: str,
    ) -> None:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # errors
        # Threads that spin while they wait slow down all other work on a busy machine.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        if provider == "directml":  # it supports neither memory patterns nor parallel execution
            options.enable_mem_pattern = False
            options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        if provider in ("cuda", "tensorrt") and hasattr(onnxruntime, "preload_dlls"):
            onnxruntime.preload_dlls()  # the CUDA libraries that came with torch
        self._input = header.inputs[0].name if header.inputs else ""
        self._outputs = [array.name for array in header.outputs]
        try:
            self._session = onnxruntime.InferenceSession(
                str(path),
                options,
                providers=_providers(provider, engine_cache),
                enable_fallback=0,  # otherwise a failing provider is replaced with only a print
            )
            self.provider = _short(self._session.get_providers()[0])
            if self.provider == provider != "cpu":
                self._try(header)
        except Exception as error:  # onnxruntime and its providers have exceptions of their own
            if provider != "cpu":
                raise _ProviderError(first_line(error)) from error
            raise WeightsError(
                f"{name} got {path}; onnxruntime cannot load it: {first_line(error)}. Download it "
                "again, or install a newer onnxruntime."
            ) from error
        if self.provider != provider:
            raise _ProviderError(f"onnxruntime fell back to {self.provider}")

    def run(self, tensor: np.ndarray) -> list[np.ndarray]:
        """Return the outputs in the file's order."""
        return self._session.run(self._outputs, {self._input: tensor})

    def _try(self, header: Header) -> None:
        """Run once, because missing or outdated libraries only fail then."""
        array = header.inputs[0]
        self.run(np.zeros([side or 1 for side in array.shape or ()], array.dtype))


class _OpenCv:
    """A network run by OpenCV on the CPU."""

    provider = OPENCV

    def __init__(self, path: Path, header: Header, name: str) -> None:
        self._outputs = [array.name for array in header.outputs]
        self._lock = threading.Lock()  # input and forward pass are two calls
        try:
            self._net = cv2.dnn.readNetFromONNX(np.fromfile(path, np.uint8))
        except cv2.error as error:
            raise WeightsError(
                f"{name} got {path}; OpenCV cannot import it: {first_line(error)}. Install "
                "onnxruntime."
            ) from error

    def run(self, tensor: np.ndarray) -> list[np.ndarray]:
        """Return the outputs, in the file's order if OpenCV kept their names."""
        names = list(self._net.getUnconnectedOutLayersNames())
        if set(names) == set(self._outputs):
            names = self._outputs
        with self._lock:
            self._net.setInput(tensor.astype(np.float32))
            return [np.array(output) for output in self._net.forward(names)]


def _providers(provider: str, engine_cache: Path | None) -> list[Any]:
    """Return the providers for onnxruntime to try, in this order."""
    cuda = (PROVIDERS["cuda"], {"cudnn_conv_algo_search": "HEURISTIC"})
    if provider == "tensorrt":
        cache = {"trt_engine_cache_enable": True, "trt_engine_cache_path": str(engine_cache)}
        return [(PROVIDERS["tensorrt"], cache), cuda, PROVIDERS["cpu"]]
    if provider == "cuda":
        return [cuda, PROVIDERS["cpu"]]
    return list(dict.fromkeys((PROVIDERS[provider], PROVIDERS["cpu"])))


def _short(full: str) -> str:
    return next((name for name, known in PROVIDERS.items() if known == full), full)


def _missing(provider: str, why: str) -> PackageError:
    return PackageError(
        f"provider got {provider!r}; it does not run here: {why}. Install "
        f"{_WHEELS[provider]}, or choose auto."
    )


def first_line(error: BaseException) -> str:
    """Return the first line of an error message, since some fill pages."""
    lines = str(error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__)[:300]
