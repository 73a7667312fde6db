"""Tests in an interpreter of their own, reported by the run that started them.

A child that dies or hangs costs the test that it was at; the next child goes on with the rest. How
long a child may take follows from its progress, not from the clock: only one in which no test
begins or ends for a long time is given up.
"""

import atexit
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

EVENTS = "ANIMATE_ANYONE_TEST_EVENTS"  # set in the child: the file that it writes
STALL_SECONDS = 600


def pytest_runtest_logstart(nodeid):
    """Tell, in the child, which test begins."""
    _tell({"begins": nodeid})


def pytest_runtest_logreport(report):
    """Tell, in the child, how a part of a test went."""
    _tell({"report": report})


def pytest_runtest_logfinish(nodeid):
    """Tell, in the child, which test has ended."""
    _tell({"ends": nodeid})


def _tell(event):
    if EVENTS in os.environ:
        event = {k: v if isinstance(v, str) else v._to_json() for k, v in event.items()}
        with Path(os.environ[EVENTS]).open("a", encoding="utf-8") as file:
            file.write(json.dumps(event, default=str) + "\n")


class Child:
    """An interpreter that works off tests, begun again where it breaks off."""

    def __init__(self, nodeids, root, environment, stall_seconds=STALL_SECONDS):
        """Remember what to run; the child starts when the first report is asked for."""
        self.nodeids, self.root, self.stall_seconds = nodeids, root, stall_seconds
        kept = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}
        self.environment = kept | environment
        self.told, self.ended, self.lost = {}, set(), {}
        self.process = None

    def reports(self, nodeid):
        """Return what the child says of a test, as soon as it has ended there."""
        while nodeid not in self.ended and nodeid not in self.lost:
            if self.process is None:
                self._start()
            self._read()
        if nodeid in self.ended:
            return self.told[nodeid]
        place = (nodeid.split("::")[0], None, nodeid)
        return [pytest.TestReport(nodeid, place, {}, "failed", self.lost[nodeid], "call")]

    @property
    def left(self):
        """Return the tests of which nothing is known yet."""
        return [one for one in self.nodeids if one not in self.ended and one not in self.lost]

    def _start(self):
        self.folder = Path(tempfile.mkdtemp())
        self.events, self.output = self.folder / "events.jsonl", self.folder / "output.txt"
        self.events.touch()
        with self.output.open("wb") as file:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *self.left],
                cwd=self.root,
                env=self.environment | {EVENTS: str(self.events)},
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
            )
        atexit.register(self.process.kill)  # where this run is ended before its tests are
        self.at, self.begun, self.line, self.since = 0, None, "", time.monotonic()

    def _read(self):
        """Take in what is new; notice when the child has ended or hangs."""
        gone = self.process.poll() is not None
        with self.events.open(encoding="utf-8") as file:
            file.seek(self.at)
            text = self.line + file.read()
            self.at = file.tell()
        *lines, self.line = text.split("\n")
        for line in lines:
            self._take(json.loads(line))
        if lines:
            self.since = time.monotonic()
        elif gone:
            self._stop(f"the child ended with {self.process.returncode}")
        elif time.monotonic() - self.since > self.stall_seconds:
            self._stop(f"no test began or ended for {self.stall_seconds} seconds: the child hangs")
        else:
            time.sleep(0.05)

    def _take(self, event):
        if "begins" in event:
            self.begun = event["begins"]
        elif "ends" in event:
            self.ended.add(event["ends"])
            self.begun = None
        else:
            report = pytest.TestReport._from_json(event["report"])
            if isinstance(report.longrepr, list):  # of a skip; JSON knows no tuples
                report.longrepr = tuple(report.longrepr)
            self.told.setdefault(report.nodeid, []).append(report)

    def _stop(self, why):
        """Blame the test that the child was at, or all that are left if it came to none."""
        self.process.kill()
        self.process.wait()
        output = self.output.read_text(encoding="utf-8", errors="replace")[-4000:]
        for nodeid in [self.begun] if self.begun else self.left:
            self.lost[nodeid] = f"{why}:\n{output}"
        shutil.rmtree(self.folder)
        self.process = None
