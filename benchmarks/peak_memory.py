"""The peak memory of a process."""

from pathlib import Path


def peak_mb() -> float:
    """Return the peak memory of this process so far, in MB.

    Linux tells it for the process alone. What `getrusage` tells instead begins with the memory of
    the process that started this one, and is used only where there is nothing else.
    """
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    (line,) = (one for one in status.splitlines() if one.startswith("VmHWM:"))
    return int(line.split()[1]) / 1024
