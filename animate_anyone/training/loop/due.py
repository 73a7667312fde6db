"""What is due: a report or a checkpoint by time, and the end that a signal asks for."""

import logging
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from types import FrameType
from typing import Any, NoReturn

log = logging.getLogger(__name__)

_LAST = 120  # seconds that a process which reads examples lives after the signal
_SAME = 5.0  # seconds: torchrun passes on to its processes what SLURM has sent to all


class Due:
    """Says, before the end of a step, whether something is due after it."""

    def __init__(self, minutes: float) -> None:
        """Begin now; 0: never due."""
        self._seconds = 60 * minutes
        self.begin()

    def begin(self) -> None:
        """Count from now, as at the start of a run and after each time."""
        self._since = self._last = time.perf_counter()

    def now(self) -> bool:
        """Return whether the time will be over before the end of another step like this one."""
        before, self._last = self._last, time.perf_counter()
        step = self._last - before
        return 0 < self._seconds <= self._last - self._since + step


class Ending:
    """Notices SIGTERM within a `with` block, so that a run can end after its step.

    SLURM sends it some seconds before it kills a job. A second one, later than the copies of the
    first, ends the process at once. Nothing is noticed outside of the main thread, where Python
    lets nobody set signals, nor where somebody else has set this one.
    """

    def __init__(self) -> None:
        """Begin without a signal."""
        self._told = multiprocessing.RawValue("b", 0)  # shared with processes that read
        self._since, self._sets = 0.0, False

    @property
    def asked(self) -> bool:
        """Return whether the signal has come."""
        return self._told.value != 0

    @property
    def in_readers(self) -> Callable[[int], None] | None:
        """Return what a process that reads examples calls first, so that it outlives the signal."""
        return partial(_outlive, self._told) if self._sets else None

    def __enter__(self) -> "Ending":
        in_main = threading.current_thread() is threading.main_thread()
        self._sets = in_main and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
        if self._sets:
            signal.signal(signal.SIGTERM, self._notice)
        return self

    def __exit__(self, *_: object) -> None:
        if self._sets:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)

    def leave(self, place: str) -> NoReturn:
        """Say where a run stopped and end the process with the status that SIGTERM gives."""
        log.info("stopped by SIGTERM after %s. Run the same command again: it goes on there", place)
        raise SystemExit(128 + signal.SIGTERM)

    def _notice(self, number: int, frame: FrameType | None) -> None:
        del frame
        now = time.monotonic()
        if not self.asked:
            self._told.value, self._since = 1, now
        elif now - self._since > _SAME:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)


class Wanted:
    """What is wanted after a step beside what its number asks for, in all processes alike."""

    def __init__(
        self,
        report_minutes: float,  # 0: not by time
        save_minutes: float,
        *,
        alone: bool,  # no other process takes part
    ) -> None:
        """Want nothing."""
        self._by_time, self.ending = (Due(report_minutes), Due(save_minutes)), Ending()
        self._alone = alone
        self.report = self.save = self._end = False

    @property
    def end(self) -> bool:
        """Return whether the run ends after this step; several processes know it only by then."""
        return self.ending.asked if self._alone else self._end

    def begin(self) -> None:
        """Count the time from now."""
        for due in self._by_time:
            due.begin()

    def asked(self, *, main: bool) -> list[float]:
        """Return what this process asks for, before the end of a step; the main one has the clock.

        1 or 0 for a report, a checkpoint and the end.
        """
        return [*(float(main and due.now()) for due in self._by_time), float(self.ending.asked)]

    def agree(
        self,
        values: Sequence[float],  # means of `asked` over all processes
    ) -> None:
        """Want what any process asks for."""
        self.report, self.save, self._end = (value > 0 for value in values)

    def reported(self) -> None:
        """Count the time to the next report from now."""
        self._by_time[0].begin()

    def saved(self) -> None:
        """Count the time to the next checkpoint from now."""
        self._by_time[1].begin()


def _outlive(
    told: Any,  # noqa: ANN401  (a shared number, not 0 once the run knows of the signal)
    worker: int,
) -> None:
    """Let a process that reads examples go on at a SIGTERM that the run got too.

    What sends it to all processes would otherwise leave the last step without its examples.
    """
    del worker

    def wait(number: int, frame: FrameType | None) -> None:
        del frame
        until = time.monotonic() + _SAME
        while not told.value:
            if time.monotonic() > until:  # sent to this process alone
                os._exit(128 + number)
            time.sleep(0.01)
        if hasattr(signal, "alarm"):
            signal.alarm(_LAST)

    signal.signal(signal.SIGTERM, wait)
