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
_CGROUPS = Path("/sys/fs/cgroup")
_OWN_CGROUPS = Path("/proc/self/cgroup")


def free_memory() -> int | None:
    """Return how many bytes can still be used, swap included; None where it cannot be told.

    In a container the machine may have more than the container may use.
    """
    limits = (_free_of_machine(), _free_of_container())
    return min((free for free in limits if free is not None), default=None)


def _free_of_machine() -> int | None:
    try:
        import psutil
    except ImportError:
        return _free_by_linux()
    return psutil.virtual_memory().available + psutil.swap_memory().free


def _free_of_container() -> int | None:
    """Return what the control groups of this process (Linux, version 2 or 1) still allow.

    Each group above limits it too. A container mostly sees its own group as the root.
    """
    try:
        lines = _OWN_CGROUPS.read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    free = []
    for line in lines:
        _, controllers, name = line.split(":", 2)
        if controllers == "":
            root, files = _CGROUPS, ("memory.max", "memory.current")
        elif "memory" in controllers.split(","):
            root = _CGROUPS / "memory"
            files = ("memory.limit_in_bytes", "memory.usage_in_bytes")
        else:
            continue
        own = Path(name.lstrip("/"))
        for group in (own, *own.parents):
            free += _left(root / group, *files)
    return min(free, default=None)


def _left(group: Path, limit: str, used: str) -> list[int]:  # bytes; empty: no limit
    """Return the memory that a control group has left; cached files in it can be given up."""
    try:
        allowed, taken = (group / limit).read_text("ascii"), int((group / used).read_text("ascii"))
        if allowed.strip() == "max":
            return []
        stat = dict(
            line.split() for line in (group / "memory.stat").read_text("ascii").splitlines()
        )
    except (OSError, ValueError):
        return []
    cached = int(stat.get("total_inactive_file", stat.get("inactive_file", 0)))
    return [max(0, int(allowed) - taken + cached)]


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
