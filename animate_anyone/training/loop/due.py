"""What is due by time: a report or a checkpoint of a run whose steps take minutes."""

import time


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
