"""What all engines share: workers, lost work, workers that cannot go on, and tries."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from ..errors import MediaError

Worker = Callable[[Any], Any]
"""Does one item of work and returns its result; holds what is loaded once, such as networks."""

MakeWorker = Callable[[], Worker]
"""Makes the worker of a process; must be picklable, and hashable: equal ones make equal workers."""

MOST_TRIES = 3  # of an item whose worker dies each time


class UnwellError(MediaError):
    """The machine of a worker cannot go on, as with a full disk; other work would fail there too.

    Raised by a worker instead of failing one item after another.
    """


@dataclass(frozen=True)
class Lost:
    """In place of a result: every worker that tried this item died."""

    tries: int

    def __str__(self) -> str:
        return (
            f"its worker died {self.tries} times while it was at work on this, perhaps for lack of "
            "memory. Try it alone or with fewer workers."
        )


class Engine(Protocol):
    """Runs items of work by workers; each item's result is yielded once, in any order."""

    @property
    def workers(self) -> int:
        """Return the number of workers that run at the same time, as far as it is known."""
        ...

    def run(
        self,
        make: MakeWorker,
        work: Iterable[Any],  # read as workers become free, so that memory does not grow with it
    ) -> Iterator[tuple[Any, Any]]:  # an item and its result, or `Lost`
        """Yield results as they are ready; a worker that dies costs its running item another try.

        Errors that a worker raises end the run. Closing the iterator ends the workers.
        """
        ...


@dataclass(frozen=True)
class Task:
    """An item of work, and how many workers have died of it."""

    item: Any
    tries: int = 0


class Tasks:
    """Work that waits; what lost its worker comes first."""

    def __init__(self, work: Iterable[Any]) -> None:
        self._work = iter(work)
        self._again: deque[Task] = deque()

    def take(self) -> Task | None:
        """Return the next task; None if nothing waits."""
        if self._again:
            return self._again.popleft()
        for item in self._work:
            return Task(item)
        return None

    def put_back(self, task: Task) -> None:
        """Let a task wait again, which no worker has begun or which its worker could not do."""
        self._again.append(task)

    def died(self, task: Task) -> Lost | None:
        """Let a task wait again whose worker died; return `Lost` if that happened too often."""
        if task.tries + 1 >= MOST_TRIES:
            return Lost(task.tries + 1)
        self._again.append(Task(task.item, task.tries + 1))
        return None


class Inline:
    """Runs all work in this process, one item after another."""

    workers = 1

    def __init__(
        self,
        threads: int | None = None,  # of torch; None: as they are
    ) -> None:
        self._threads = threads

    def run(self, make: MakeWorker, work: Iterable[Any]) -> Iterator[tuple[Any, Any]]:
        """Yield each item with its result; the worker is made before the first item."""
        if self._threads is not None:
            import torch

            torch.set_num_threads(self._threads)
        worker: Worker | None = None
        for item in work:
            worker = worker or make()
            yield item, worker(item)
