"""Work in several processes of this machine."""

import multiprocessing
import os
import sys
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from functools import lru_cache
from multiprocessing.connection import wait as wait_for
from multiprocessing.context import BaseContext
from typing import Any

from .. import opencv as cv2
from .engine import MakeWorker, Task, Tasks, Worker
from .machine import usable_cores

CARDS = "CUDA_VISIBLE_DEVICES"


class Processes:
    """Runs work in processes; each is a pool of its own, so that a killed one costs no other."""

    def __init__(
        self,
        workers: int,
        threads: int | None = None,  # of torch in each process; None: all usable cores, shared
    ) -> None:
        self.workers = workers
        self._threads = threads or max(1, usable_cores() // workers)

    def run(self, make: MakeWorker, work: Iterable[Any]) -> Iterator[tuple[Any, Any]]:
        """Yield each item with its result, or with `Lost`; see `Engine.run`."""
        tasks, running = Tasks(work), dict[Future, tuple[int, Task]]()
        pools: dict[int, ProcessPoolExecutor] = {}
        idle = deque(range(self.workers))
        try:
            while True:
                while idle and (task := tasks.take()) is not None:
                    number = idle.popleft()
                    running[self._submit(pools, number, make, task.item)] = number, task
                if not running:
                    return
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    number, task = running.pop(future)
                    idle.append(number)
                    try:
                        result = future.result()
                    except BrokenProcessPool:
                        pools.pop(number).shutdown(wait=False)
                        result = tasks.died(task)
                        if result is None:
                            continue
                    yield task.item, result
        finally:
            for pool in pools.values():
                pool.shutdown(wait=True, cancel_futures=True)

    def _submit(
        self, pools: dict[int, ProcessPoolExecutor], number: int, make: MakeWorker, item: object
    ) -> Future:
        """Give an item to a worker, which is started if it is not there or was killed idle."""
        if number in pools:
            try:
                return pools[number].submit(_work, make, item)
            except BrokenProcessPool:
                pools.pop(number).shutdown(wait=False)
        import torch

        about = (number, self._threads, torch.cuda.device_count(), dict(os.environ))
        pools[number] = ProcessPoolExecutor(1, _context(), _begin, about)
        return pools[number].submit(_work, make, item)


def _context() -> BaseContext:
    """Return how processes start.

    On Linux they are forks of one process that has done nothing but import torch, which takes more
    than a second of processor time, and is then done only once. Elsewhere such a fork may crash.
    """
    if sys.platform != "linux":
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch"])
    return context


def _begin(number: int, threads: int, cards: int, environment: dict[str, str]) -> None:
    """Prepare a process: its share of the cores, its graphics card, its end with the parent's."""
    os.environ.update(environment)  # it may have changed since the first process was forked
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if cards > 1:
        known = [card for card in os.environ.get(CARDS, "").split(",") if card]
        os.environ[CARDS] = known[number % len(known)] if known else str(number % cards)
    import torch

    torch.set_num_threads(threads)
    cv2.setNumThreads(1)


def _end_with_parent() -> None:
    """End this process when its parent was killed, since its folder's lock is then free."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait_for([parent.sentinel])
        os._exit(1)


def _work(make: MakeWorker, item: object) -> Any:  # noqa: ANN401  (whatever the worker returns)
    return _worker(make)(item)


@lru_cache(1)
def _worker(make: MakeWorker) -> Worker:
    """Make the worker once per process."""
    return make()
