"""Workers for the tests of engines, which processes can import."""

import logging
import os
import signal
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class MakeDoubler:
    """Makes a worker that doubles numbers; it is killed by some of them."""

    folder: str  # where killed tries are noted
    deadly: tuple[tuple[int, int], ...] = ()  # numbers, and how often each kills
    warning: str = ""  # of this package, at every number

    def __call__(self):
        return self._double

    def _double(self, number):
        if self.warning:
            logging.getLogger("animate_anyone.test").warning(self.warning)
        times = dict(self.deadly).get(number, 0)
        note = Path(self.folder) / f"{number}-{os.getpid()}"
        if times > len(list(Path(self.folder).glob(f"{number}-*"))):
            note.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return 2 * number


@dataclass(frozen=True)
class MakeTeller:
    """Makes a worker that tells a variable of its environment, and what it is a fork of."""

    def __call__(self):
        return lambda name: (os.environ.get(name), os.getppid())
