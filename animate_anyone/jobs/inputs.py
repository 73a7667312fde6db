"""The content of a job's input files and folders, by which a change is noticed."""

import hashlib
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from ..errors import InputError

_BLOCK = 1 << 20  # bytes read at once
_REMEMBERED = 1000  # inputs whose hash is kept in memory, since jobs share references


def stamp_of(path: Path) -> tuple[int, int, int] | None:
    """Return number, bytes and last change in ns of the files of an input; None: it is missing."""
    try:
        states = [file.stat() for file in _files(path)]
    except (OSError, ValueError):  # no such file, or no name of a file
        return None
    changed = max((state.st_mtime_ns for state in states), default=0)
    return (len(states), sum(state.st_size for state in states), changed) if states else None


def describe_input(path: Path) -> dict[str, Any]:
    """Return an input's stamp and the sha256 of its content, for a record."""
    stamp = stamp_of(path)
    if stamp is None:
        return {"missing": True}
    if not path.is_dir() and not path.is_file():
        raise InputError(
            f"{path} is a device or a pipe, not a file; a job reads its inputs twice. Copy it into "
            "a file."
        )
    files, size, changed = stamp
    return {"files": files, "bytes": size, "changed": changed, "sha256": _hash(path, stamp)}


def is_same(path: Path, known: dict[str, Any]) -> bool:
    """Return whether an input is as a record describes it: by its stamp, else by its content."""
    stamp = stamp_of(path)
    if stamp is None:
        return bool(known.get("missing"))
    files, size, changed = stamp
    if (files, size) != (known.get("files"), known.get("bytes")):
        return False
    return changed == known.get("changed") or _hash(path, stamp) == known.get("sha256")


@lru_cache(_REMEMBERED)
def _hash(path: Path, stamp: tuple[int, int, int]) -> str:
    """Return the sha256 of a file, or of the names and contents of a folder's files."""
    del stamp  # part of the cache's key
    found = hashlib.sha256()
    for file in _files(path):
        if file != path:
            found.update(f"{file.relative_to(path).as_posix()}\n{file.stat().st_size}\n".encode())
        for block in _blocks(file):
            found.update(block)
    return found.hexdigest()


def _files(path: Path) -> Iterable[Path]:
    if not path.is_dir():
        return [path]
    return sorted(file for file in path.rglob("*") if file.is_file())


def _blocks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            yield block
