"""Time and memory of planning, claiming and merging long lists whose work is empty.

python -m benchmarks.many_jobs 25000 100000

jobs: each is a line of a file, read and checked as by `animate --jobs`, looked up in the folder of
results, and run by a worker that writes an empty result with its record; then it is looked up
again, and the table of all jobs is written. clips: `prepare` finds empty files, a worker writes an
outcome for each, manifest and report are written, and a second start finds all of them done. rows:
a worker of `evaluate` returns a row of two figures for each clip, all are read again and merged
into means, which are written with the figures of every clip. Each list runs in a process of its
own; memory is what a part needs above that of the process at its start (Linux alone tells it).
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from animate_anyone.commands.evaluate.results import write_results
from animate_anyone.commands.jobs.command import parser
from animate_anyone.commands.jobs.settings import Settings, neighbours
from animate_anyone.dataset.clip import CLIP, Outcome, stamp_of
from animate_anyone.dataset.find import Found, find_clips
from animate_anyone.dataset.manifest import ClipDataset, Span, clip_folder
from animate_anyone.dataset.prepare import prepare
from animate_anyone.dataset.settings import PrepareConfig
from animate_anyone.engines.engine import Inline
from animate_anyone.evaluation.kept import folder as kept_folder
from animate_anyone.evaluation.kept.row import ClipRow
from animate_anyone.evaluation.measure import gathered
from animate_anyone.evaluation.protocol import load_protocol
from animate_anyone.evaluation.report import Report
from animate_anyone.jobs.planning import Plan, write_table
from animate_anyone.jobs.reading import Job, read_jobs
from animate_anyone.jobs.records import Order, Record
from animate_anyone.jobs.run import run_jobs
from animate_anyone.jobs.running import Made, run_job
from animate_anyone.names.texts import Texts
from animate_anyone.shards import Shard
from animate_anyone.types import Size

from .peak_memory import peak_mb

PER_FOLDER = 1000


class Parts:
    """The seconds and the memory of the parts of a list of work."""

    def __init__(self) -> None:
        self.found: list[str] = []
        self._usual = _reset_peak()

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Measure a part."""
        _reset_peak()
        start = time.process_time()
        yield
        spent = time.process_time() - start
        self.found.append(f"{name} {spent:.1f} s {max(0.0, peak_mb() - self._usual):.0f} MB")


def main() -> None:
    """Print the parts of each list for each length."""
    words = argparse.ArgumentParser(description="long lists of empty work")
    words.add_argument("lengths", type=int, nargs="+")
    words.add_argument("--one", choices=LISTS, help=argparse.SUPPRESS)
    options = words.parse_args()
    if options.one:
        parts = Parts()
        with tempfile.TemporaryDirectory() as folder:
            LISTS[options.one](options.lengths[0], Path(folder), parts)
        print("; ".join(parts.found))
        return
    print("seconds of the processor, and memory above that of the process at its start")
    for name in LISTS:
        for length in options.lengths:
            given = [sys.executable, "-m", "benchmarks.many_jobs", str(length), "--one", name]
            run = subprocess.run(given, check=True, capture_output=True, text=True)
            print(f"{length:>8} {name}: {run.stdout.strip()}", flush=True)


def many_jobs(length: int, folder: Path, parts: Parts) -> None:
    """Read, plan, run, plan again, and write the table of jobs."""
    settings = Settings(parser())
    source = folder / "jobs.jsonl"
    with source.open("w") as file:
        for number in range(length):
            job = {"name": f"{number // PER_FOLDER}/{number}", "reference": f"{number % 50}.png"}
            file.write(json.dumps({**job, "poses": "wave.json", "seed": number}) + "\n")
    with parts.part("read"):
        jobs = read_jobs(source, lambda one: settings.check(one, {}), neighbours)
    shares = [Shard(number, 64).stretch(jobs) for number in range(1, 65)]
    assert sum(map(len, shares)) == length

    def order(job: Job) -> Order:
        whole = settings.whole(job.settings, {}, folder)
        return Order(job.name, folder / "out" / job.result, whole, (), {})

    with parts.part("plan"):
        plan = Plan(jobs, order)
    with parts.part("run"):
        assert run_jobs(plan, Inline(), lambda: _empty_job).done == length
    with parts.part("plan again"):
        assert Plan(jobs, order).done == length
    with parts.part("table"):
        assert write_table(jobs, order, folder / "table.jsonl") == {"done": length}


def _empty_job(order: Order) -> Record:
    def work(order: Order) -> Made:
        order.result.parent.mkdir(parents=True, exist_ok=True)
        order.result.write_bytes(b"")
        return Made()

    return run_job(order, work)


class _EmptyClips:
    """An engine that writes the outcome of a clip without reading it."""

    workers = 1

    def run(self, make: object, work: list[Found]) -> Iterator[tuple[Found, Outcome]]:
        """Write outcomes where `prepare` expects them."""
        for found in work:
            stamp, spans = stamp_of(found.path), (Span(0, 100), Span(120, 200))
            outcome = Outcome(name=found.name, stamp=stamp, fps=30.0, frames=200, spans=spans)
            folder = clip_folder(make.out, found.name)  # type: ignore[attr-defined]
            folder.mkdir(parents=True)
            (folder / CLIP).write_text(json.dumps(asdict(outcome), indent=1) + "\n")
            yield found, outcome


def many_clips(length: int, folder: Path, parts: Parts) -> None:
    """Find, prepare and open clips, and prepare them a second time."""
    clips, out = folder / "clips", folder / "set"
    for number in range(length):
        path = clips / str(number // PER_FOLDER) / f"{number}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    config = PrepareConfig(size=Size(64, 64), poses="none", cached={})
    with parts.part("find"):
        assert len(find_clips(clips)) == length
    with parts.part("prepare"):
        prepare(clips, out, config, _nothing, engine=_EmptyClips())  # type: ignore[arg-type]
    with parts.part("prepare again"):
        prepare(clips, out, config, _nothing, engine=_EmptyClips())  # type: ignore[arg-type]
    with parts.part("open"):
        assert len(ClipDataset.open(out).clips) == length


def _nothing() -> None:
    raise AssertionError("no tools are needed")


def many_rows(length: int, folder: Path, parts: Parts) -> None:
    """Keep, look up, read and merge the rows of a test."""
    names = Texts(f"clip {number}" for number in range(length))
    report = {"versions": {}}
    settings = kept_folder.Settings(same={}, names=names, first=0, report=report)
    with parts.part("begin"):
        kept = kept_folder.open_rows(folder, settings)
    with parts.part("run"):
        for place, name in enumerate(names):
            figures = {
                way: {"psnr": 20 + place / length, "ssim": 0.9} for way in ("result", "copy")
            }
            kept.write(ClipRow(place=place, name=name, frames=16, figures=figures))
    with parts.part("look up"):
        assert not kept.missing
    with parts.part("merge"):
        found = gathered(kept_folder.merged([kept]))
        assert 20 < found["result"].mean["psnr"] < 21
    with parts.part("write"):
        more: dict[str, Any] = {"changed": {}, "made": {}, "absent": {}, "instruments": {}}
        made = Report(protocol=load_protocol("mini"), rows=found, **more).data(lazily=True)
        files = argparse.Namespace(markdown=None, figures=folder / "report.json")
        write_results(files, "", made, quiet=True)


LISTS: dict[str, Callable[[int, Path, Parts], None]] = {
    "jobs": many_jobs,
    "clips": many_clips,
    "rows": many_rows,
}


def _reset_peak() -> float:
    """Let the system count the peak of memory anew, and return what is used now, in MB."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return peak_mb()
    return peak_mb()


if __name__ == "__main__":
    main()
