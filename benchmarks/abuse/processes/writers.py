"""Two processes that write the same thing at the same time."""

import time
from pathlib import Path

from ..children import ended, run_forked
from ..order import Order
from ..verdict import ACCEPTED, CLEAR, FAULT, Tally, Verdict, judged
from .jobs import JOBS, Job, import_all, make_material
from .kills import PATIENCE, end_of

FULL, FEW = 4, 1  # pairs of each job
STARTS = (0.0, 0.05, 0.2, 0.5)  # seconds between the two


def writers(order: Order) -> list[Tally]:
    """Run each job twice at once."""
    import_all()
    material = make_material(order.folder / "material")
    tally = Tally("two writers")
    for name in ("convert", "prepare") if order.short else JOBS:
        for number in range(FEW if order.short else FULL):
            place = order.folder / name / str(number)
            tally.add(tried(JOBS[name], material, place, STARTS[number]), f"{name} {number}")
    return [tally]


def tried(job: Job, material: Path, place: Path, later: float) -> Verdict:
    """Run a job twice, the second time some seconds later; judge what both wrote."""
    place.mkdir(parents=True)
    logs = [place.with_suffix(f".{number}.log") for number in (1, 2)]
    children = []
    for log in logs:
        children.append(run_forked(lambda: job.run(material, place), log))
        time.sleep(later)
    statuses = [ended(child, PATIENCE) for child in children]
    said = [end_of(log) for log in logs]
    whole = judged(lambda: job.whole(place), [])
    if whole.kind != ACCEPTED:
        return Verdict(FAULT, f"{statuses} {whole.said}")
    if 0 not in statuses:
        return Verdict(FAULT, f"neither ended: {statuses} {said}")
    for status, words in zip(statuses, said, strict=True):
        if status != 0 and not (status == 2 and "another process" in words):
            return Verdict(FAULT, f"{status} {words}")
    left = [path for path in place.rglob("*") if ".part" in path.name]
    if left:
        return Verdict(FAULT, f"left behind: {left}")
    return Verdict(ACCEPTED if statuses == [0, 0] else CLEAR)
