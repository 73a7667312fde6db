"""Which jobs are left, and the list of what became of all of them."""

import json
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from ..places import whole_file
from .reading import Job, JobList
from .records import DONE, FAILED, Order, read_state

_COLUMNS = ("name", "state", "error", "result", "bytes", "frames_sha256", "seconds", "machine")

ToOrder = Callable[[Job], Order]


class Plan:
    """The jobs that are left, and how many were found in which state."""

    def __init__(self, jobs: JobList, order: ToOrder) -> None:
        """Look at the record of every job."""
        left, found = array("L"), Counter[str]()
        for index, job in enumerate(jobs):
            state, _ = read_state(order(job))
            found[state] += 1
            if state != DONE:
                left.append(index)
        self._jobs, self._order, self._left = jobs, order, left
        self.found = found

    @property
    def total(self) -> int:
        """Return the number of jobs, finished ones included."""
        return len(self._jobs)

    @property
    def done(self) -> int:
        """Return the number of jobs that were done before."""
        return self.found[DONE]

    @property
    def left(self) -> int:
        """Return the number of jobs that are left."""
        return len(self._left)

    def orders(self) -> Iterator[Order]:
        """Yield what is left, neighbours next to each other; nothing is kept of them."""
        jobs = self._jobs
        return (self._order(jobs[index]) for index in self._left)

    def text(self) -> str:
        """Return what was found in words."""
        text = f"{self.total} jobs: {self.done} were done before"
        if changed := self.found["changed"]:
            text += f", {changed} have changed since (settings, weights or inputs), made again"
        if failed := self.found[FAILED]:
            text += f", {failed} failed before, tried again"
        return f"{text}; {self.left} are left"


class _UnrecordedError(Exception):
    """A job has no record yet."""


def write_table(
    jobs: Iterable[Job],  # all jobs of the file
    order: ToOrder,
    path: Path,
) -> Counter[str] | None:
    """Write a line for each job into a JSON lines file, in order of the names' neighbours.

    Returns how many jobs are in which state: "done", "failed", "changed" if another start made the
    result from other settings, weights or inputs, and "missing" if the result is gone. Returns
    None, and writes nothing, while a job of another shard has no record.
    """
    found = Counter[str]()
    with suppress(_UnrecordedError):
        with whole_file(path) as part, part.open("w", encoding="utf-8") as file:
            for job in jobs:
                wanted = order(job)
                state, record = read_state(wanted)
                if not record and not wanted.record.is_file():
                    raise _UnrecordedError
                state = state or "missing"
                found[state] += 1
                row = {name: record.get(name) for name in _COLUMNS}
                row |= {"name": job.name, "state": state}
                file.write(json.dumps(row) + "\n")
        return found
    return None
