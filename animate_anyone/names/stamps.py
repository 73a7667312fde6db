"""Stamps of files: by these a change is noticed without reading what they hold."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

Stamp = tuple[int, int, int, int]
"""Number, bytes and last change in ns of files, and a hash of their names, bytes and times.

The hash alone tells that two files of a folder changed their names, or that one was replaced by an
older one of the same size.
"""

_HASHED = 6  # bytes of the hash, so that every reader of JSON holds it exactly


def stamp_of_files(
    files: Iterable[Path],  # OSError if one is missing
    folder: Path,  # that the names begin at
) -> Stamp:
    """Return the stamp of files, whatever their order."""
    states = sorted((path.relative_to(folder).as_posix(), path.stat()) for path in files)
    lines = (f"{name}\n{state.st_size} {state.st_mtime_ns}\n" for name, state in states)
    found = hashlib.sha256("".join(lines).encode(errors="surrogateescape")).digest()
    return (
        len(states),
        sum(state.st_size for _, state in states),
        max((state.st_mtime_ns for _, state in states), default=0),
        int.from_bytes(found[:_HASHED], "big"),
    )
