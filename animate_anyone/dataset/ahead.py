"""Frames that are decoded while the networks still work on those before."""

import queue
import threading
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

T = TypeVar("T")

MOST = 8  # items that wait; more would only take memory
_END = object()


def ahead(items: Iterable[T], most: int = MOST) -> Iterator[T]:
    """Yield items in order, read by a thread that is at most `most` items ahead.

    An error of the source is raised in its place. When the iterator is closed, the thread ends.
    """
    waiting: queue.Queue[Any] = queue.Queue(most)
    closed = threading.Event()

    def read() -> None:
        try:
            for item in items:
                waiting.put((item, None))
                if closed.is_set():
                    return
            waiting.put((_END, None))
        except BaseException as error:  # raised again by the reader
            waiting.put((_END, error))

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    try:
        while True:
            item, error = waiting.get()
            if error is not None:
                raise error
            if item is _END:
                return
            yield item
    finally:
        closed.set()
        while thread.is_alive():
            try:
                waiting.get(timeout=0.01)
            except queue.Empty:
                continue
