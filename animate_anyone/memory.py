"""The machine's memory: how much is free, and giving back what was freed."""

import ctypes
import gc
import sys
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import WeightsError

if TYPE_CHECKING:
    import torch

_MEMINFO = Path("/proc/meminfo")


def free_memory() -> int | None:
    """Return how many bytes can still be used, swap included; None where it cannot be told."""
    try:
        import psutil
    except ImportError:
        return _free_by_linux()
    return psutil.virtual_memory().available + psutil.swap_memory().free


def free_on(device: "torch.device") -> int | None:
    """Return how many bytes of a device can still be used; None where it cannot be told."""
    if device.type != "cuda":  # other devices share the computer's memory
        return free_memory()
    import torch

    unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return torch.cuda.mem_get_info(device)[0] + unused


def require_memory(
    needed: int,  # bytes
    what: str,  # the input, for the message
    way_out: str,
) -> None:
    """Raise WeightsError if weights cannot fit into the memory that is free."""
    free = free_memory()
    if free is not None and needed > free:
        raise WeightsError(
            f"{what} got files that need {needed / 1e9:.1f} GB of memory; {free / 1e9:.1f} GB are "
            f"free, swap included. {way_out}"
        )


def give_back() -> None:
    """Let the allocator return what was freed to the system; only glibc keeps it and is asked."""
    if sys.platform != "linux":
        return
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def give_back_when_gone(network: Any) -> None:  # noqa: ANN401  (any object with weights)
    """Call `give_back` at the next full garbage collection after this network has gone.

    A finalizer runs before the tensors are freed, and it may run inside a collection. Therefore it
    only asks to be told of the end of a collection, at which nothing holds the tensors any more.
    """
    weakref.finalize(network, _await_collection).atexit = False


def _await_collection() -> None:
    if _after_collection not in gc.callbacks:
        gc.callbacks.append(_after_collection)


def _after_collection(phase: str, info: dict[str, int]) -> None:
    """Run at the begin and the end of each garbage collection until the memory is given back."""
    if phase == "stop" and info["generation"] == 2:
        give_back()
        if gc.callbacks[-1] is _after_collection:  # else Python would leave out the next callback
            gc.callbacks.pop()


def _free_by_linux() -> int | None:
    if not _MEMINFO.is_file():
        return None
    lines = (line.split() for line in _MEMINFO.read_text(encoding="ascii").splitlines())
    sizes = {name: 1024 * int(size) for name, size, *_ in lines}
    return sizes["MemAvailable:"] + sizes["SwapFree:"] if "MemAvailable:" in sizes else None
