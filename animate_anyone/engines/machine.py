"""Errors that are of a machine and not of an item of work: every other item would fail there."""

import errno
from pathlib import PurePath

from ..places import in_a_line, is_temporary
from .engine import UnwellError

_OF_THE_MACHINE = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.ESTALE}


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
