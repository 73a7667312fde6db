"""Work on the machines of a Ray cluster: actors that hold what is loaded, one item each at a time.

Ray decides where an actor runs. An actor gets its next item when it has finished the one before,
so that nothing piles up however long the list is.
"""

import logging
import os
import platform
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from ..errors import InputError, PackageError
from .engine import MakeWorker, Task, Tasks, UnwellError

logger = logging.getLogger(__name__)

LOCAL = "local"
ROOT = Path(__file__).resolve().parents[2]  # the folder that this package lies in
PATIENCE_S = 120.0  # until it is told that no worker begins
_PACKAGE = __name__.split(".")[0]
_MOST_TOLD = 100  # different warnings of workers that are shown


class RayEngine:
    """Runs work by actors on a Ray cluster; a dead actor costs its running item another try."""

    def __init__(
        self,
        address: str,  # of a running cluster, auto, or local: a cluster of this machine alone
        workers: int | None,  # None: as many as there is room for
        *,
        cpus: float = 1.0,  # reserved for each
        gpus: float | None = None,  # reserved for each; None: 1 if the cluster has cards
        threads: int | None = None,  # of torch in each; None: as many as reserved processors
    ) -> None:
        """Connect to the cluster; PackageError without Ray, InputError if none answers."""
        ray = _ray()
        self._own = not ray.is_initialized()
        if self._own:
            _connect(address)
        room = ray.cluster_resources()
        if gpus is None:
            gpus = 1.0 if room.get("GPU") else 0.0
        if cpus < 0 or gpus < 0 or cpus + gpus == 0:
            raise InputError(
                f"cpus-per-worker got {cpus:g} and gpus-per-worker {gpus:g}; a worker needs some "
                "of one of them. Choose 1 processor."
            )
        self._needs = {"num_cpus": cpus, "num_gpus": gpus}
        fits = _fitting(room, cpus, gpus)
        if not fits:
            if self._own:
                ray.shutdown()
            raise InputError(
                f"cpus-per-worker got {cpus:g} and gpus-per-worker {gpus:g}; the cluster has "
                f"{room.get('CPU', 0):g} processors and {room.get('GPU', 0):g} cards, so no worker "
                "fits. Ask for less."
            )
        self.workers = min(workers or fits, fits)
        self._threads = threads or max(1, int(cpus))

    def run(self, make: MakeWorker, work: Iterable[Any]) -> Iterator[tuple[Any, Any]]:
        """Yield each item with its result, or with `Lost`; see `Engine.run`."""
        run = _Run(self._needs, make, self._threads, Tasks(work))
        try:
            yield from run.results(self.workers)
        finally:
            run.end()
            if self._own:
                _ray().shutdown()


class _Run:
    """The actors of one run, and what each of them does."""

    def __init__(
        self, needs: dict[str, float], make: MakeWorker, threads: int, tasks: Tasks
    ) -> None:
        # Ray must not restart an actor: it might find no room, and its item would wait for ever.
        actor = _ray().remote(max_restarts=0, max_task_retries=0, **needs)(_Actor)
        self._new = lambda: actor.remote(make, threads)
        self._tasks = tasks
        self._starting: dict[Any, Any] = {}  # reference of its readiness -> actor
        self._idle: deque[Any] = deque()
        self._running: dict[Any, tuple[Any, Task]] = {}  # reference of a result -> actor, task
        self._trouble: Exception | None = None  # why the last actor was given up
        self._told: dict[str, None] = {}  # warnings of workers that were shown

    def results(self, workers: int) -> Iterator[tuple[Any, Any]]:
        """Yield what the actors finish until no work waits; no more start than there is work."""
        ray = _ray()
        first = [task for _ in range(workers) if (task := self._tasks.take()) is not None]
        for task in first:
            self._tasks.put_back(task)
            self._start()
        while True:
            self._hand_out()
            if not self._running and (task := self._tasks.take()) is None:
                return
            if not self._running:
                self._tasks.put_back(task)  # type: ignore[arg-type]
                if not self._starting:
                    raise self._trouble or UnwellError(
                        "ray got no worker that could go on. Look at its machines, then start "
                        "the command again: what is finished is kept."
                    )
            waiting = [*self._running, *self._starting]
            ready, _ = ray.wait(
                waiting, num_returns=1, timeout=None if self._running else PATIENCE_S
            )
            if not ready:
                logger.warning(
                    "no worker has begun for %g s: the cluster is busy, or has lost machines. This "
                    "goes on when there is room; stop it with Ctrl+C, what is finished is kept.",
                    PATIENCE_S,
                )
            for one in ready:
                if one in self._starting:
                    self._started(one)
                elif (outcome := self._finished(one)) is not None:
                    yield outcome

    def end(self) -> None:
        """End all actors."""
        ray = _ray()
        actors = [*self._starting.values(), *self._idle, *(a for a, _ in self._running.values())]
        for actor in actors:
            ray.kill(actor)

    def _start(self) -> None:
        actor = self._new()
        self._starting[actor.ready.remote()] = actor

    def _hand_out(self) -> None:
        while self._idle and (task := self._tasks.take()) is not None:
            actor = self._idle.popleft()
            self._running[actor.work.remote(task.item)] = actor, task

    def _started(self, reference: object) -> None:
        ray, actor = _ray(), self._starting.pop(reference)
        try:
            warnings = ray.get(reference)
        except ray.exceptions.RayActorError as error:
            self._give_up(error)
        else:
            self._tell(warnings)
            self._idle.append(actor)

    def _finished(self, reference: object) -> tuple[Any, Any] | None:
        """Return an item with its result or `Lost`; None if it waits for another worker."""
        ray = _ray()
        actor, task = self._running.pop(reference)
        try:
            result, warnings = ray.get(reference)
        except ray.exceptions.RayActorError as error:
            self._give_up(error)
            self._start()
            lost = self._tasks.died(task)
            return None if lost is None else (task.item, lost)
        except ray.exceptions.RayTaskError as error:
            if not isinstance(error.cause, UnwellError):
                raise error.cause from error
            logger.warning("a worker is given up: %s", error.cause)
            self._trouble = error.cause
            self._tasks.put_back(task)
            ray.kill(actor)
            return None
        self._tell(warnings)
        self._idle.append(actor)
        return task.item, result

    def _tell(self, warnings: list[str]) -> None:
        """Show what workers warned of, each text once."""
        for text in warnings:
            if text not in self._told and len(self._told) < _MOST_TOLD:
                self._told[text] = None
                logger.warning("%s", text)

    def _give_up(self, error: Exception) -> None:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        why = lines[-1 if "creation task" in lines[0] else 0]  # the last is what was raised
        logger.warning("a worker died (%s); what it was at work on is done again", why)
        self._trouble = UnwellError(f"ray got a worker that died: {why}")


class _Actor:
    """A worker in a process that Ray starts."""

    def __init__(self, make: MakeWorker, threads: int) -> None:
        import torch

        from .. import opencv as cv2

        torch.set_num_threads(threads)
        cv2.setNumThreads(1)
        self._warnings = _Warnings()
        logging.getLogger().addHandler(self._warnings)
        self._worker = make()

    def ready(self) -> list[str]:
        """Return when the worker is made, with what it warned of."""
        return self._warnings.taken()

    def work(self, item: object) -> tuple[Any, list[str]]:
        """Do one item of work; return its result and what was warned of."""
        return self._worker(item), self._warnings.taken()


class _Warnings(logging.Handler):
    """Keeps what this package warns of, since nobody reads a worker's own output."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line."""
        if record.name.split(".")[0] == _PACKAGE:
            self._lines.append(f"{platform.node()}: {record.getMessage()}")

    def taken(self) -> list[str]:
        """Return the lines since the last call."""
        lines, self._lines = self._lines, []
        return lines


def _ray() -> Any:  # noqa: ANN401  (a module)
    """Return Ray; PackageError with the way out if it is not installed."""
    try:
        import ray
    except ImportError as error:
        raise PackageError(
            f"ray got {error}; spreading work over machines needs it. Install it with pip install "
            "ray, or use --workers on this machine, or --shard I/N in a batch system."
        ) from error
    return ray


def _connect(address: str) -> None:
    """Connect to a running cluster, or start one on this machine; InputError if it fails."""
    ray = _ray()
    more: dict[str, Any] = {}
    if address != LOCAL:  # workers of this machine take the path of this process
        paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
        more["runtime_env"] = {"env_vars": {"PYTHONPATH": os.pathsep.join(paths)}}
    quiet = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address == LOCAL:
        quiet["include_dashboard"] = False
    try:
        ray.init(address=address, **more, **quiet)
    except (ConnectionError, ValueError, OSError, RuntimeError) as error:
        raise InputError(
            f"ray got {address!r}; no cluster can be reached there ({' '.join(str(error).split())})"
            ". Start one with ray start --head, or use --ray local."
        ) from error


def _fitting(room: dict[str, float], cpus: float, gpus: float) -> int:
    """Return how many workers fit into resources."""
    counts = [room.get(name, 0.0) / need for name, need in (("CPU", cpus), ("GPU", gpus)) if need]
    return int(min(counts))
