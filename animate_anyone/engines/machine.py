"""Errors that are of a machine and not of an item of work: every other item would fail there."""

import errno

from ..places import in_a_line
from .engine import UnwellError

_OF_THE_MACHINE = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.ESTALE}


def refuse_machine(error: BaseException) -> None:
    """Raise UnwellError, in the error's words, if it or what caused it is of the machine."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno in _OF_THE_MACHINE:
            said = in_a_line(error) if isinstance(error, Exception) else str(error)
            raise UnwellError(said) from error
        cause = cause.__cause__ or cause.__context__
