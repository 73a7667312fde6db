"""Two workers against one, on a list of jobs: the same frames, and what the second worker costs.

python -m benchmarks.two_workers

A list of `animate --jobs` on aa-mini runs by one process and by `--workers 2`, one thread each.
Printed are the seconds of the clock, the seconds of the processor over all processes, and what a
job takes beside the networks, from the records. On an idle machine of two cores or more the clock
tells the gain; on a busy one only the seconds of the processor can be trusted: what the second
worker adds to them is the price, and twice the first sum by the second is the most to be gained.
"""

import argparse
import json
import resource
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
        print(f"{'workers':>7} {'clock s':>8} {'CPU s':>8}  beside the networks, s a job")
        runs = [_run(given, workers, folder) for workers in (1, 2)]
        same = runs[0][1] == runs[1][1]
    one, two = runs[0][0], runs[1][0]
    print(f"frames equal: {same}; CPU seconds {two / one:.2f} times; at most {2 * one / two:.2f} "
          "times as fast on two cores")  # fmt: skip
    return 0 if same else 1


def _run(given: list[str], workers: int, folder: Path) -> tuple[float, dict[str, str]]:
    """Run the list and print its row; return CPU seconds and the hash of each job's frames."""
    out, before, start = folder / f"{workers}", _spent(), time.monotonic()
    command_line([*given, f"--workers={workers}"], out, folder / "log").wait()
    clock, spent = time.monotonic() - start, _spent() - before
    records = [json.loads(path.read_text()) for path in out.rglob("*.mp4.json")]
    beside = sorted(each["seconds"] - each["sampling_seconds"] for each in records)
    print(f"{workers:>7} {clock:8.1f} {spent:8.1f}  median {statistics.median(beside):.3f}, "
          f"most {beside[-1]:.3f}", flush=True)  # fmt: skip
    return spent, {each["name"]: each["frames_sha256"] for each in records}


def _spent() -> float:
    """Return the CPU seconds of all processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    sys.exit(main())
