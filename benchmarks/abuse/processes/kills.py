"""Commands that are killed at a random moment, as a system does whose memory is full."""

import os
import random
from pathlib import Path

from ..children import ended, killed_at, run_forked
from ..order import Order
from ..verdict import ACCEPTED, FAULT, Tally, Verdict, judged
from .jobs import JOBS, KILLED, Job, import_all, make_material

FULL, FEW = 12, 1  # of each job
WHOLE_EVERY = 4  # kills after which the command is run to its end
PATIENCE = 120.0  # seconds of the processor, or of sleep


def kills(order: Order) -> list[Tally]:
    """Kill each job at random moments; what lies under a final name must be whole."""
    import_all()
    material = make_material(order.folder / "material")
    return [
        each(JOBS[name], material, order.folder / name, order.seed, FEW if order.short else FULL)
        for name in KILLED
    ]


def each(job: Job, material: Path, folder: Path, seed: int, count: int) -> Tally:
    """Kill one job many times."""
    tally, rng = Tally(f"kills while {job.title}"), random.Random(f"{seed} {job.title}")
    log = folder.with_suffix(".log")
    out = folder / "first"
    out.mkdir(parents=True)
    before = sum(os.times()[2:4])  # seconds of the processor, of children that have ended
    status = ended(run_forked(lambda: job.run(material, out), log), PATIENCE)
    needed = sum(os.times()[2:4]) - before
    if status != 0:
        tally.add(Verdict(FAULT, f"undisturbed: {status} {end_of(log)}"), job.title)
        return tally
    out = folder / "0"
    for number in range(count):
        out.mkdir(exist_ok=True)
        child = run_forked(lambda place=out: job.run(material, place), log)
        status = killed_at(child, rng.random(), needed)
        tally.add(_after(job, material, out, log, status, last=number % WHOLE_EVERY == 0), number)
        if status == 0 or number % WHOLE_EVERY == 0:
            out = folder / str(number + 1)  # others go on where the last one was killed
    return tally


def _after(job: Job, material: Path, out: Path, log: Path, status: int, *, last: bool) -> Verdict:
    """Return whether the results are whole, and if `last`, whether the command still ends well."""
    if status > 0:
        return Verdict(FAULT, f"{status} {end_of(log)}")
    verdict = judged(lambda: job.whole(out), [])
    if verdict.kind != ACCEPTED:
        return Verdict(FAULT, f"after a kill: {verdict.said}")
    if not last:
        return verdict
    again = ended(run_forked(lambda: job.run(material, out), log), PATIENCE)
    if again != 0:
        return Verdict(FAULT, f"run again: {again} {end_of(log)}")
    verdict = judged(lambda: job.whole(out), [])
    return verdict if verdict.kind == ACCEPTED else Verdict(FAULT, verdict.said)


def end_of(log: Path) -> str:
    """Return the last lines of a log as one."""
    text = log.read_text(errors="replace").replace("\r", "\n")
    return " | ".join(text.strip().splitlines()[-4:])[-500:]
