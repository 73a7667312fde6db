"""Reading a file of jobs: JSON lines, each a record of settings with a name."""

import json
import re
import unicodedata
import zlib
from array import array
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, overload

import numpy as np

from ..errors import InputError
from ..json_files import is_text, require_regular

NAME = "name"
SUFFIXES = (".mp4", ".mov", ".mkv", ".webm")  # of results; a name without one gets the first
MOST_LINE = 1 << 20  # bytes of a line; a longer one is no job
TABLE = "jobs-done.jsonl"  # in the folder of results: a line for each job
RECORD = ".json"  # what the name of a job's record ends with, behind its result's name
MOST_NAME = 200  # bytes of each part of a name; systems take 255, with endings and in files begun
_SHOWN = 10  # bad lines that an error lists
_BAD_IN_NAMES = re.compile(r'[\x00-\x1f<>:"|?*\\]')  # Windows takes none of these in a file's name

Check = Callable[[Mapping[str, Any]], None]
"""Raises InputError for settings that cannot be used."""

Neighbours = Callable[[Mapping[str, Any]], str]
"""Returns a key of settings; jobs with the same key run next to each other."""


@dataclass(frozen=True)
class Job:
    """One line of a file of jobs."""

    name: str
    settings: Mapping[str, Any]  # JSON values by setting, without the name

    @property
    def result(self) -> str:
        """Return the path of its result below the folder of results."""
        named = self.name.lower().endswith(SUFFIXES)
        return self.name if named else f"{self.name}{SUFFIXES[0]}"


class JobList(Sequence[Job]):
    """The jobs of a file that was checked, neighbours next to each other.

    A job is read from the file again when it is asked for, so memory holds 24 bytes of it.
    """

    def __init__(
        self,
        path: Path,
        starts: Sequence[int],  # by line: where it begins, in bytes
        sums: Sequence[int],  # by line: checksum of its bytes
        order: Sequence[int],  # the lines of these jobs
    ) -> None:
        """Use a file whose lines are known; see `read_jobs`."""
        self._path, self._starts, self._sums, self._order = path, starts, sums, order

    def __len__(self) -> int:
        return len(self._order)

    @overload
    def __getitem__(self, index: int) -> Job: ...
    @overload
    def __getitem__(self, index: slice) -> "JobList": ...
    def __getitem__(self, index: int | slice) -> "Job | JobList":
        if isinstance(index, slice):
            return JobList(self._path, self._starts, self._sums, self._order[index])
        with self._path.open("rb") as file:
            return self._read(file, self._order[index])

    def _read(self, file: BinaryIO, line: int) -> Job:
        file.seek(self._starts[line])
        content = file.readline(MOST_LINE)
        if zlib.crc32(content) != self._sums[line]:
            raise InputError(
                f"jobs got {self._path}, which was changed while its jobs were run. Start the "
                "command again: finished jobs are kept."
            )
        return _job(content)

    def __iter__(self) -> Iterator[Job]:
        """Yield all jobs, with the file open meanwhile."""
        with self._path.open("rb") as file:
            for line in self._order:
                yield self._read(file, line)


def read_jobs(path: Path, check: Check, neighbours: Neighbours) -> JobList:
    """Return the jobs of a file; InputError that names every bad line with its number.

    Empty lines are passed over. Of each line 32 bytes are kept: where it begins, and checksums of
    its bytes, its name and its neighbours.
    """
    starts, sums = array("Q"), array("L")
    names, groups = array("q"), array("L")  # hashes of the result's name, and of the neighbours
    folders: dict[int, tuple[int, str]] = {}  # hashes of folders that are called like results
    bad = _BadLines()
    for number, start, content in _lines(path):
        try:
            job = _job(content)
            check(job.settings)
        except InputError as error:
            bad.add(number, str(error))
            continue
        result = _as_systems_compare(job.result)
        names.append(hash(result))
        for folder in _like_results(result):
            folders.setdefault(hash(folder), (number, job.name))
        groups.append(zlib.crc32(neighbours(job.settings).encode()))
        starts.append(start)
        sums.append(zlib.crc32(content))
    if (doubled := _equal(names)).size:
        _name_equals(path, set(doubled.tolist()), bad)
    for folder in set(folders) & set(names) if folders else ():
        number, name = folders[folder]
        why = f"name got {name!r}; one of its folders is also a file of another job. Choose another"
        bad.add(number, f"{why} name for one of them.")
    bad.refuse(path)
    if not starts:
        raise InputError(f"jobs got {path}, which holds no job. Write one JSON record in a line.")
    return JobList(path, starts, sums, _side_by_side(groups))


class _BadLines:
    """Lines that are no jobs: how many, and the first of them in words."""

    def __init__(self) -> None:
        self._count = 0
        self._first: list[tuple[int, str]] = []

    def add(self, number: int, why: str) -> None:
        """Count a line; lines of one kind come in order."""
        self._count += 1
        self._first = sorted([*self._first, (number, why)])[:_SHOWN]

    def refuse(self, path: Path) -> None:
        """Raise InputError if there are any."""
        if not self._count:
            return
        shown = [f"line {number}: {why}" for number, why in self._first]
        more = [f"and {self._count - len(shown)} more"] if self._count > len(shown) else []
        raise InputError(
            f"jobs got {path} with {self._count} bad lines ({'; '.join([*shown, *more])}). Nothing "
            "was begun."
        )


def _as_systems_compare(name: str) -> str:
    """Return a name that is equal for names which some system takes for the same file.

    macOS and Windows ignore case; macOS also ignores whether an accent is a sign of its own.
    """
    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", name).casefold())


def _like_results(result: str) -> Iterator[str]:
    """Yield the results whose file, or whose record, a folder of this result is called like."""
    *folders, _ = result.split("/")
    for count in range(1, len(folders) + 1):
        folder = "/".join(folders[:count]).removesuffix(RECORD)
        if folder.endswith(SUFFIXES):
            yield folder


def _equal(hashes: array) -> np.ndarray:
    """Return the hashes that stand in a list more than once."""
    ordered = np.sort(np.frombuffer(hashes, np.int64)) if hashes else np.empty(0, np.int64)
    return np.unique(ordered[1:][ordered[1:] == ordered[:-1]])


def _name_equals(path: Path, hashes: Container[int], bad: _BadLines) -> None:
    """Add the lines whose result has the name of an earlier one's, among names of these hashes."""
    first: dict[str, int] = {}
    for number, _, content in _lines(path):
        try:
            job = _job(content)
        except InputError:
            continue
        name = _as_systems_compare(job.result)
        if hash(name) in hashes and first.setdefault(name, number) != number:
            why = f"name got {job.name!r}, as line {first[name]}; each job has a name of its own."
            bad.add(number, why)


def _side_by_side(groups: array) -> array:
    """Return the places of all lines: those of one group together, groups as they first appear."""
    keys = np.frombuffer(groups, np.dtype(f"u{groups.itemsize}"))
    _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    return array("L", np.argsort(first[inverse], kind="stable").astype(keys.dtype).tobytes())


def _lines(path: Path) -> Iterator[tuple[int, int, bytes]]:
    """Yield number, first byte and content of each line that is not empty."""
    try:
        if path.is_dir():
            raise OSError("it is a folder")
        require_regular(path)
        start = 0
        with path.open("rb") as file:
            number = 0
            while content := file.readline(MOST_LINE):
                number += 1
                length, blank = _rest_of_line(file, content)
                if not blank:
                    yield number, start, content
                start += length
    except OSError as error:
        raise InputError(f"jobs got {path}; cannot read it: {error}. Check it.") from error


def _rest_of_line(file: BinaryIO, begin: bytes) -> tuple[int, bool]:
    """Pass over the rest of a line that is too long; return its bytes, and whether it is blank."""
    length, blank, part = len(begin), not begin.strip(), begin
    while not part.endswith(b"\n") and (part := file.readline(MOST_LINE)):
        length += len(part)
        blank = blank and not part.strip()
    return length, blank


def _job(content: bytes) -> Job:
    """Return the job of a line; InputError that does not name the line."""
    if len(content) >= MOST_LINE:
        raise InputError(f"it is longer than {MOST_LINE // 1024} kB; a job is one JSON record.")
    try:
        text = content.decode("utf-8-sig")
        values = json.loads(text, object_pairs_hook=_once, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"it is not JSON ({error}). Write one record in a line.") from error
    if not isinstance(values, dict):
        raise InputError(f"it is a {type(values).__name__}; a job is a record: {{...}}.")
    if NAME not in values:
        raise InputError('it has no "name", which the result is called by.')
    return Job(_checked_name(values.pop(NAME)), values)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError(f"{twice} stands in it twice; leave one out.")
    return values


def _no_number(text: str) -> None:
    raise InputError(f"{text} is not a number that can be used.")


def _checked_name(name: object) -> str:
    """Return a name that is a path below the folder of results on every system."""
    parts = name.split("/") if isinstance(name, str) else []
    if (
        not isinstance(name, str)
        or not is_text(name)
        or any(len(part.encode()) > MOST_NAME for part in parts)
        or _BAD_IN_NAMES.search(name)
        or any(not part or part.startswith(".") or part != part.strip(" .") for part in parts)
    ):
        raise InputError(
            f"name got {name!r}; it must be a file's name, with / for folders, without the signs "
            f'< > : " | ? * \\, without parts that begin or end with a dot or a space, and with at '
            f"most {MOST_NAME} bytes in each part."
        )
    if len(parts) > 1 and parts[0].casefold() == TABLE:
        raise InputError(
            f"name got {name!r}; {TABLE} is the list of all jobs. Choose another folder."
        )
    return name
