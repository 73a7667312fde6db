"""Runs tests in a child process and reports their results in the parent's test run.

If a child dies or hangs, the test that it was running fails, and a new child runs the remaining
tests. A child has no total time limit; it counts as hanging if no test begins or ends for
STALL_SECONDS.
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
    """Record the beginning of a test (in the child)."""
    _record({"begins": nodeid})


def pytest_runtest_logreport(report):
    """Record the result of a test's setup, call or teardown (in the child)."""
    _record({"report": report})


def pytest_runtest_logfinish(nodeid):
    """Record the end of a test (in the child)."""
    _record({"ends": nodeid})


def _record(event):
    if EVENTS in os.environ:
        event = {k: v if isinstance(v, str) else v._to_json() for k, v in event.items()}
        with Path(os.environ[EVENTS]).open("a", encoding="utf-8") as file:
            file.write(json.dumps(event, default=str) + "\n")


class Child:
    """A child process that runs tests; it is restarted for the remaining tests if it dies."""

    def __init__(self, nodeids, root, environment, stall_seconds=STALL_SECONDS):
        """Store the tests to run; the child starts when the first report is requested."""
        self.nodeids, self.root, self.stall_seconds = nodeids, root, stall_seconds
        kept = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}
        self.environment = kept | environment
        self.results, self.ended, self.lost = {}, set(), {}
        self.process = None

    def reports(self, nodeid):
        """Wait until a test has ended in the child; return its reports."""
        while nodeid not in self.ended and nodeid not in self.lost:
            if self.process is None:
                self._start()
            self.read()
        if nodeid in self.ended:
            return self.results[nodeid]
        place = (nodeid.split("::")[0], None, nodeid)
        return [pytest.TestReport(nodeid, place, {}, "failed", self.lost[nodeid], "call")]

    @property
    def left(self):
        """Return the tests without a result so far."""
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
        atexit.register(self.process.kill)  # in case this run ends before its tests do
        self.at, self.begun, self.line, self.since = 0, None, "", time.monotonic()

    def read(self):
        """Read new events; stop the child if it has ended or hangs."""
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
            self.results.setdefault(report.nodeid, []).append(report)

    def _stop(self, why):
        """Fail the test that was running, or all remaining tests if none had begun."""
        self.process.kill()
        self.process.wait()
        output = self.output.read_text(encoding="utf-8", errors="replace")[-4000:]
        for nodeid in [self.begun] if self.begun else self.left:
            self.lost[nodeid] = f"{why}:\n{output}"
        shutil.rmtree(self.folder)
        self.process = None
