"""Runs all rings on all hosts, in two lanes beside each other. Standard library only.

The first ComfyUI sees all tests; further ones the tests that need a host, of the browser's those
of the bundled workflows. Lines come out as they are made, with the number of their lane.
"""

import os
import re
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from comfy_hosts import REPOSITORY, find_hosts

IN_HOST = ("tests/nodes", "tests/server")
BROWSER = "tests/browser"
BOTH_HOSTS = f"{BROWSER}/test_bundled_workflows.py"
OUTCOMES = re.compile(r"(\d+) (passed|failed|errors?|skipped)\b")


@dataclass(frozen=True)
class Run:
    """One call of pytest."""

    arguments: tuple[str, ...]
    host: Path | None = None  # None: the first one that is found


def lanes(hosts: list[Path]) -> list[list[Run]]:
    """Return the calls of each lane; those of one lane come one after the other."""
    apart = (f"--ignore={folder}" for folder in (*IN_HOST, BROWSER))
    core = Run(("tests", *apart))
    further = [Run((*IN_HOST, BOTH_HOSTS), host) for host in hosts[1:]]
    return [[core, *further], [Run((*IN_HOST, BROWSER))]]


def work_off(number: int, runs: list[Run], more: list[str]) -> tuple[bool, Counter]:
    """Run a lane; return whether all of it succeeded, and how many tests ended in which way."""
    good, counts = True, Counter()
    for run in runs:
        say(number, f"pytest {' '.join(run.arguments)}" + (f" on {run.host}" if run.host else ""))
        environment = {"OMP_WAIT_POLICY": "passive", **os.environ}
        if run.host:
            environment["COMFYUI_PATH"] = str(run.host)
        command = [sys.executable, "-m", "pytest", *run.arguments, *more]
        with subprocess.Popen(
            command,
            cwd=REPOSITORY,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        ) as process:
            last = ""
            for line in process.stdout or ():
                say(number, line.rstrip("\n"))
                last = line if OUTCOMES.search(line) and " in " in line else last
        good = process.returncode == 0 and good
        counts.update({how.rstrip("s"): int(count) for count, how in OUTCOMES.findall(last)})
    return good, counts


def say(number: int, line: str) -> None:
    """Write one line of a lane."""
    sys.stdout.write(f"[{number}] {line}\n")
    sys.stdout.flush()


def main(more: list[str]) -> int:
    """Run everything; return the exit status."""
    planned = lanes([host.path for host in find_hosts()])
    with ThreadPoolExecutor(len(planned)) as pool:
        results = list(pool.map(lambda lane: work_off(*lane, more), enumerate(planned, 1)))
    total = sum((counts for _, counts in results), Counter())
    failed = total["failed"] + total["error"]
    sys.stdout.write(f"{total['passed']} passed, {failed} failed, {total['skipped']} skipped\n")
    return 0 if all(good for good, _ in results) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
