"""The machine's memory: how much is free, and giving back what was freed."""

import ctypes
import gc
import platform
import shutil
import sys
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import InputError, WeightsError

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


def most_memory() -> int | None:
    """Return how many bytes could be used if nothing else ran, swap included; None if unknown.

    It is an upper bound: more than this never fits.
    """
    machine = _memory_of_machine()
    if machine is None:
        return None
    memory, swap = machine
    allowed = (limit for limit, _ in _groups() if limit is not None)  # of memory without swap
    return min([memory, *allowed]) + swap


def _memory_of_machine() -> tuple[int, int] | None:  # bytes of memory, bytes of swap
    """Return how much memory and swap the machine has in all."""
    if sys.platform == "linux":
        sizes = _meminfo()
        known = "MemTotal:" in sizes
        return (sizes["MemTotal:"], sizes.get("SwapTotal:", 0)) if known else None
    try:
        import psutil
    except ImportError:
        return None
    # These systems make their swap larger when they need it, as long as the disk has room.
    grows = shutil.disk_usage(Path.home().anchor).free
    return psutil.virtual_memory().total, psutil.swap_memory().total + grows


def _free_of_container() -> int | None:
    """Return what the control groups of this process still allow; None if they set no limit."""
    left = (limit - used for limit, used in _groups() if limit is not None)
    return min((max(0, each) for each in left), default=None)


def _groups() -> list[tuple[int | None, int]]:  # bytes: limit, and what is used
    """Return the control groups of this process (Linux, version 2 or 1).

    Each group above limits it too. A container mostly sees its own group as the root.
    """
    try:
        lines = _OWN_CGROUPS.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    groups = []
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
        groups += [_read_group(root / group, *files) for group in (own, *own.parents)]
    return groups


def _read_group(group: Path, limit: str, used: str) -> tuple[int | None, int]:
    """Return limit and use of a control group; cached files in it can be given up."""
    try:
        allowed, taken = (group / limit).read_text("ascii"), int((group / used).read_text("ascii"))
        if allowed.strip() == "max":
            return None, taken
        stat = dict(
            line.split() for line in (group / "memory.stat").read_text("ascii").splitlines()
        )
        cached = int(stat.get("total_inactive_file", stat.get("inactive_file", 0)))
        return int(allowed), taken - cached
    except (OSError, ValueError):
        return None, 0


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


def most_on(device: "torch.device") -> int | None:
    """Return how many bytes of a device could be used if nothing else ran; None if unknown.

    A card has its own memory; with some drivers it takes the computer's too when that is full.
    """
    if device.type != "cuda":  # other devices share the computer's memory
        return most_memory()
    import torch

    card = torch.cuda.get_device_properties(device)
    shares = sys.platform == "win32" or "microsoft" in platform.release().lower()
    if not (shares or getattr(card, "is_integrated", False)):
        return card.total_memory
    most = most_memory()
    return None if most is None else card.total_memory + most


def require_room(
    needed: int,  # bytes, a lower bound
    what: str,  # the input and its value, for the message
    way_out: str,
    device: "torch.device | None" = None,  # where it is needed; None: in the computer's memory
) -> None:
    """Raise InputError if this can never fit into the memory of this machine, or of its card."""
    most, has = most_memory(), "this machine has {:.1f} GB, swap included"
    if device is not None and device.type == "cuda":
        most, has = most_on(device), f"{device} has {{:.1f}} GB"
    if most is not None and needed > most:
        raise InputError(
            f"{what}; that needs more than {needed / 1e9:.1f} GB of memory, but "
            f"{has.format(most / 1e9)}. {way_out}"
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
    sizes = _meminfo()
    return sizes["MemAvailable:"] + sizes["SwapFree:"] if "MemAvailable:" in sizes else None


def _meminfo() -> dict[str, int]:  # bytes
    """Return the entries of /proc/meminfo; empty where there is none."""
    if not _MEMINFO.is_file():
        return {}
    lines = (line.split() for line in _MEMINFO.read_text(encoding="ascii").splitlines())
    return {name: 1024 * int(size) for name, size, *_ in lines}
