"""The content of a job's input files and folders, by which a change is noticed."""

import hashlib
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..names.stamps import Stamp, stamp_of_files

_STAMP = ("files", "bytes", "changed", "named")  # what a record calls the parts of a stamp
_BLOCK = 1 << 20  # bytes read at once
_REMEMBERED = 1000  # inputs whose hash is kept in memory, since jobs share references


def stamp_of(path: Path) -> Stamp | None:
    """Return the stamp of an input's files; None if it is missing."""
    try:
        files = list(_files(path))
        return stamp_of_files(files, path.parent) if files else None
    except (OSError, ValueError):  # no such file, or no name of a file
        return None


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
    return {**dict(zip(_STAMP, stamp, strict=True)), "sha256": _hash(path, stamp)}


def is_same(path: Path, known: dict[str, Any]) -> bool:
    """Return whether an input is as a record describes it: by its stamp, else by its content."""
    stamp = stamp_of(path)
    if stamp is None:
        return bool(known.get("missing"))
    here = dict(zip(_STAMP, stamp, strict=True))
    if any(here[name] != known.get(name) for name in ("files", "bytes")):
        return False
    unchanged = all(here[name] == known.get(name) for name in _STAMP)
    return unchanged or _hash(path, stamp) == known.get("sha256")


@lru_cache(_REMEMBERED)
def _hash(path: Path, stamp: Stamp) -> str:
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
