"""This machine: its cores, and errors that are of it, so that every other item would fail too."""

import errno
import os
from pathlib import PurePath

from ..places import in_a_line, is_temporary
from .engine import UnwellError

_OF_THE_MACHINE = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.ESTALE}


def usable_cores() -> int:
    """Return how many cores this process may use; a batch system may give it some of them."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS and Windows
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def refuse_machine(error: BaseException) -> None:
    """Raise UnwellError, in the error's words, if it or what caused it is of the machine."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and (cause.errno in _OF_THE_MACHINE or _taken_away(cause)):
            said = in_a_line(error) if isinstance(error, Exception) else str(error)
            raise UnwellError(said) from error
        cause = cause.__cause__ or cause.__context__


def _taken_away(error: OSError) -> bool:
    """Return whether a file that was being written is gone, as when its disk was unmounted."""
    names = [name for name in (error.filename, error.filename2) if isinstance(name, str)]
    parts = (part for name in names for part in PurePath(name).parts)
    return error.errno == errno.ENOENT and any(map(is_temporary, parts))
