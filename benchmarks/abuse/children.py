"""Attempts in a forked process, so that a crash or a hang is one fault and not the end."""

import json
import os
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from .verdict import FAULT, Tally, Verdict, last_lines

HANGS = 20.0  # seconds of the processor, or of sleep, after which an attempt counts as hanging
SLOW = 8.0  # seconds of the processor after which a small file counts as a large cost
MOST_BYTES = 3 * 2**30  # of memory that an attempt may ask for, above what the process has


class Watch:
    """Decides whether a fork hangs, by what it does and not by the clock of a busy machine.

    It hangs if it has used the processor for too long, or if it has slept for so long. A fork that
    waits for the processor does neither.
    """

    def __init__(
        self,
        child: int,
        seconds: float,  # of the processor, or of sleep
    ) -> None:
        self._child, self._seconds = child, seconds
        self.begin()

    def begin(self) -> None:
        """Count from now on."""
        self._first, _ = self._last = _doing(self._child)
        self._since = time.monotonic()

    def hangs(self) -> bool:
        """Return whether the fork hangs; to be asked again and again."""
        now = used, works = _doing(self._child)
        if works or now != self._last:
            self._last, self._since = now, time.monotonic()
        slept = time.monotonic() - self._since
        return max(used - self._first, slept) > self._seconds


def used_by(child: int) -> float:
    """Return the seconds of the processor that a process and its children have used."""
    return _doing(child)[0]


def _doing(child: int) -> tuple[float, bool]:
    """Return the seconds of a process and its children, and whether one of them works."""
    try:
        text = Path(f"/proc/{child}/stat").read_text()
        children = Path(f"/proc/{child}/task/{child}/children").read_text().split()
    except OSError:  # it has ended meanwhile
        return 0.0, False
    state, *fields = text.rsplit(")", 1)[1].split()
    used = sum(map(int, fields[10:14])) / os.sysconf("SC_CLK_TCK")
    below = [_doing(int(each)) for each in children]
    works = state in ("R", "D") or any(one for _, one in below)  # D: waits for a disk
    return used + sum(each for each, _ in below), works


def try_all(
    tally: Tally,
    count: int,
    attempt: Callable[[int], Verdict],  # gets the number of the attempt
    seconds: float = HANGS,
) -> Tally:
    """Make attempts 0 to count - 1 in forks of this process; a fork that ends is replaced."""
    number = 0
    while number < count:
        number = _in_a_fork(tally, number, count, attempt, seconds)
    return tally


def _in_a_fork(
    tally: Tally, first: int, count: int, attempt: Callable[[int], Verdict], seconds: float
) -> int:
    """Make attempts until the fork ends; return the number of the first that was not made."""
    reader, writer = os.pipe()
    child = fork()
    if child == 0:
        os.close(reader)
        _work(writer, first, count, attempt)
    os.close(writer)
    text, number, watch = b"", first, Watch(child, seconds)
    while True:
        ready, _, _ = select.select([reader], [], [], min(0.5, seconds / 4))
        part = os.read(reader, 1 << 16) if ready else None
        if part:
            *lines, text = (text + part).split(b"\n")
            for line in lines:
                tally.add(Verdict(*json.loads(line)), number)
                number += 1
            watch.begin()
        elif part == b"":
            status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            if number < count:
                tally.add(Verdict(FAULT, f"the process ended with {status}"), number)
                number += 1
            break
        elif watch.hangs():
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            tally.add(Verdict(FAULT, f"no answer for {seconds:.0f} seconds"), number)
            number += 1
            break
    os.close(reader)
    return number


def _work(writer: int, first: int, count: int, attempt: Callable[[int], Verdict]) -> None:
    """Make attempts in the fork and report each; never returns."""
    limit_memory()
    for number in range(first, count):
        started = time.process_time()
        try:
            verdict = attempt(number)
        except BaseException:
            verdict = Verdict(FAULT, last_lines(traceback.format_exc()))
        used = time.process_time() - started
        if used > SLOW:
            verdict = Verdict(FAULT, f"took {used:.1f} seconds: {verdict.said}")
        line = json.dumps([verdict.kind, verdict.said[:1000]]).encode() + b"\n"
        os.write(writer, line)
    os._exit(0)


def limit_memory(size: int = MOST_BYTES) -> None:
    """Let this process ask for no more than `size` bytes above what it has."""
    import resource  # Windows has none

    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + size
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def fork() -> int:
    """Fork with empty output buffers, which both processes would write."""
    sys.stdout.flush()
    sys.stderr.flush()
    return os.fork()


def run_forked(
    work: Callable[[], int], log: Path, *, limit: Callable[[], None] | None = None
) -> int:
    """Start `work` in a fork whose output goes to a file; return its process id."""
    child = fork()
    if child:
        return child
    code = 70
    try:
        with log.open("ab") as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
        sys.stdout, sys.stderr = (os.fdopen(number, "w", buffering=1) for number in (1, 2))
        if limit is not None:
            limit()
        code = work()
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 1
    except BaseException:
        os.write(2, traceback.format_exc().encode())
    os._exit(code)


def ended(child: int, seconds: float) -> int | None:
    """Return the exit status of a fork; None, and the fork is killed, if it hangs for so long."""
    watch = Watch(child, seconds)
    while not watch.hangs():
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    kill(child)
    return None


def killed_at(
    child: int,
    share: float,  # of the work, 0..1
    needed: float,  # seconds of the processor that all of the work needs
) -> int:
    """Kill a fork when it has done a share of its work; return its exit status."""
    watch = Watch(child, HANGS)
    while used_by(child) < share * needed and not watch.hangs():
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    return kill(child)


def kill(child: int) -> int:
    """Kill a fork as the system does when the memory is full; return its exit status."""
    os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
