"""Looks whether the user has cancelled: within a step too, and while files are read or written."""

import logging
import threading
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from torch import Tensor, nn

from ...places import in_a_line
from ...protocols import Look

log = logging.getLogger(__name__)

PAUSE = 0.05  # seconds between two looks while files are read or written


class FileWork(threading.Thread):
    """Reading or writing of a run's files, which is finished although the run was cancelled.

    It is no daemon: a program that ends waits for it.
    """

    def __init__(self, work: Callable[[], object]) -> None:
        """Prepare a thread for the work; `error` will be what it raised, if anything."""
        super().__init__(name="files of a training run")
        self._work, self.error = work, None

    def run(self) -> None:
        """Do the work."""
        try:
            self._work()
        except Exception as error:  # raised again by `Looks.during`
            self.error = error


def wait_for_files(look: Look | None) -> None:
    """Wait for what cancelled runs of this process still read or write; `look` may raise."""
    for thread in threading.enumerate():
        if isinstance(thread, FileWork):
            _wait(thread, look or (lambda: None))


class Looks:
    """Calls a function before each layer, forwards and backwards, and remembers if it raised."""

    def __init__(self, look: Look | None) -> None:
        """Use a function that raises to interrupt; None: nothing is watched."""
        self._look, self.interrupted = look, False
        self._last: FileWork | None = None

    def watch(self, networks: nn.Module) -> None:
        """Look before each layer with weights; `networks` compute the same as before."""
        if self._look is None:
            return
        for part in networks.modules():
            if isinstance(part, nn.Linear | nn.Conv2d):
                part.register_forward_hook(self._after_layer)

    def call(self, function: Callable[[], object]) -> None:
        """Call a function that may raise to interrupt."""
        try:
            function()
        except BaseException:  # whatever the caller raises
            self.interrupted = True
            raise

    def during(self, work: Callable[[], object]) -> None:
        """Do work on files and look meanwhile; if a look raises, a thread finishes the work."""
        if (look := self._look) is None:
            work()
            return
        self._last = FileWork(work)
        self._last.start()
        _wait(self._last, lambda: self.call(look))
        if self._last.error is not None:
            raise self._last.error

    def leave(
        self,
        work: Callable[[], object],  # done after what `during` has begun
        rest: ExitStack,  # closed at the end
    ) -> None:
        """Let a thread do the last work on the files of a cancelled run; return at once.

        If nothing is watched the work is done here.
        """
        before, told = self._last, self._look is not None

        def finish() -> None:
            with rest:
                if before is not None:
                    before.join()
                try:
                    work()
                except Exception as error:
                    if not told:
                        raise
                    log.error("a cancelled training run: %s", in_a_line(error))

        if told:
            FileWork(finish).start()
        else:
            finish()

    def _after_layer(self, layer: nn.Module, inputs: Any, output: Tensor) -> None:  # noqa: ANN401
        assert self._look is not None
        self.call(self._look)
        if output.requires_grad:
            output.register_hook(self._backwards)

    def _backwards(self, gradient: Tensor) -> None:
        assert self._look is not None
        self.call(self._look)


def _wait(thread: FileWork, look: Look) -> None:
    while thread.is_alive():
        look()
        thread.join(PAUSE)
