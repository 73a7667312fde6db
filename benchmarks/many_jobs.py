"""Time and memory of planning, claiming and merging long lists of jobs that are empty work.

python -m benchmarks.many_jobs 25000 50000 100000

Each job is written as a line of a file. The list is read and checked as by `animate --jobs`, looked
up in the folder of results, and run by a worker that writes an empty result with its record; then
it is looked up again, and the table of all jobs is written.
"""

import argparse
import json
import tempfile
import time
import tracemalloc
from itertools import pairwise
from pathlib import Path

from animate_anyone.commands.jobs.command import parser
from animate_anyone.commands.jobs.settings import Settings, neighbours
from animate_anyone.engines.engine import Inline
from animate_anyone.jobs.planning import Plan, write_table
from animate_anyone.jobs.reading import Job, read_jobs
from animate_anyone.jobs.records import Order, Record
from animate_anyone.jobs.run import run_jobs
from animate_anyone.jobs.running import Made, run_job
from animate_anyone.shards import Shard

PER_FOLDER = 1000


def main() -> None:
    """Print a row for each length of a list."""
    words = argparse.ArgumentParser(description="long lists of jobs")
    words.add_argument("lengths", type=int, nargs="+")
    print(f"{'jobs':>8} {'read':>7} {'plan':>7} {'run':>7} {'again':>7} {'table':>7}  s; peak MB")
    for length in words.parse_args().lengths:
        with tempfile.TemporaryDirectory() as folder:
            print(row(length, Path(folder)), flush=True)


def row(length: int, folder: Path) -> str:
    """Return seconds of each part, and the peak of Python's memory."""
    settings = Settings(parser())
    source = folder / "jobs.jsonl"
    with source.open("w") as file:
        for number in range(length):
            job = {"name": f"{number // PER_FOLDER}/{number}", "reference": f"{number % 50}.png"}
            file.write(json.dumps({**job, "poses": "wave.json", "seed": number}) + "\n")
    tracemalloc.start()
    times = [time.perf_counter()]
    jobs = read_jobs(source, lambda one: settings.check(one, {}), neighbours)
    times.append(time.perf_counter())
    parts = [Shard(number, 64).stretch(jobs) for number in range(1, 65)]
    assert sum(map(len, parts)) == length

    def order(job: Job) -> Order:
        whole = settings.whole(job.settings, {}, folder)
        return Order(job.name, folder / "out" / job.result, whole, (), {})

    plan = Plan(jobs, order)
    times.append(time.perf_counter())
    summary = run_jobs(plan, Inline(), lambda: _empty)
    assert summary.done == length
    times.append(time.perf_counter())
    assert Plan(jobs, order).done == length
    times.append(time.perf_counter())
    assert write_table(jobs, order, folder / "table.jsonl")
    times.append(time.perf_counter())
    peak = tracemalloc.get_traced_memory()[1] / 1e6
    tracemalloc.stop()
    spent = [end - start for start, end in pairwise(times)]
    seconds = " ".join(f"{each:7.2f}" for each in spent)
    return f"{length:>8} {seconds}  {peak:6.1f}"


def _empty(order: Order) -> Record:
    def work(order: Order) -> Made:
        order.result.parent.mkdir(parents=True, exist_ok=True)
        order.result.write_bytes(b"")
        return Made()

    return run_job(order, work)


if __name__ == "__main__":
    main()
