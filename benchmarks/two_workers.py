"""Two workers against one, on a list of jobs: the same frames, and what the second worker costs.

python -m benchmarks.two_workers

A list of `animate --jobs` on aa-mini runs by one process and by `--workers 2`, one thread each.
Printed are the seconds of the clock and what a job takes beside the networks, from the records. Run
it on an idle machine of two cores or more; on a busy one the clock says little. Seconds of the
processor are not printed: workers are forks of a process of their own, whose time no parent gets.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

from .cluster import command_line, write_jobs


def main() -> int:
    """Print a row for each number of workers; return 1 if their frames differ."""
    words = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    words.add_argument("--jobs", type=int, default=24, help="jobs of the list (default: 24)")
    words.add_argument("--steps", type=int, default=20, help="steps of each (default: 20)")
    options = words.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        given = [*write_jobs(folder, options.jobs, frames=8), f"--steps={options.steps}"]
        print(f"{'workers':>7} {'clock s':>8}  beside the networks, s a job")
        runs = [_run(given, workers, folder) for workers in (1, 2)]
        same = runs[0][1] == runs[1][1]
    gain = runs[0][0] / runs[1][0]
    print(f"frames equal: {same}; two workers are {gain:.2f} times as fast")
    return 0 if same else 1


def _run(given: list[str], workers: int, folder: Path) -> tuple[float, dict[str, str]]:
    """Run the list and print its row; return its seconds and the hash of each job's frames."""
    out, start = folder / f"{workers}", time.monotonic()
    more = [f"--workers={workers}"] if workers > 1 else []  # else no process is started
    command_line([*given, *more], out, folder / "log").wait()
    clock = time.monotonic() - start
    records = [json.loads(path.read_text()) for path in out.rglob("*.mp4.json")]
    beside = sorted(each["seconds"] - each["sampling_seconds"] for each in records)
    print(f"{workers:>7} {clock:8.1f}  median {statistics.median(beside):.3f}, "
          f"most {beside[-1]:.3f}", flush=True)  # fmt: skip
    return clock, {each["name"]: each["frames_sha256"] for each in records}


if __name__ == "__main__":
    sys.exit(main())
