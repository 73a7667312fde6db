"""Commands on a full disk: a small file system of its own, or a limit of the size of files."""

import contextlib
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

from ..children import ended, run_forked
from ..order import Order
from ..verdict import ACCEPTED, CLEAR, FAULT, Tally, Verdict, judged
from .jobs import JOBS, Job, import_all, make_material
from .kills import PATIENCE, end_of

FREE = (0, 0.5)  # share of what the results need that is free
FEW = (0.5,)  # in the short form
WORDS = ("cannot be written", "No space left", "File too large", "free")


def disks(order: Order) -> list[Tally]:
    """Run each job on a disk that has too little room."""
    import_all()
    material = make_material(order.folder / "material")
    tally = Tally("full disks")
    for name in ("draw", "train") if order.short else JOBS:
        for share in FEW if order.short else FREE:
            place = order.folder / f"{name}-{share:.0%}"
            tally.add(tried(JOBS[name], material, place, share), f"{name}, {share} free")
    return [tally]


def tried(job: Job, material: Path, place: Path, share: float) -> Verdict:
    """Run a job on a disk with room for a share of its results."""
    log = place.with_suffix(".log")
    whole = place.with_suffix(".whole")
    whole.mkdir(parents=True)
    if ended(run_forked(lambda: job.run(material, whole), log), PATIENCE) != 0:
        return Verdict(FAULT, f"undisturbed: {end_of(log)}")
    needed = sum(path.stat().st_size for path in whole.rglob("*") if path.is_file())
    with small_disk(place, int(share * needed)) as limit:
        log.write_text("")
        status = ended(run_forked(lambda: job.run(material, place), log, limit=limit), PATIENCE)
        said, whole_now = end_of(log), judged(lambda: job.whole(place), [])
        if whole_now.kind != ACCEPTED:
            return Verdict(FAULT, f"{status}, not whole: {whole_now.said}")
        if status == 0:
            return Verdict(ACCEPTED)
        clear = status in (1, 2) and any(word in said for word in WORDS)
        clear &= "Traceback" not in said and "unexpected" not in said
        return Verdict(CLEAR if clear else FAULT, f"{status} {said}")


@contextlib.contextmanager
def small_disk(place: Path, size: int) -> Iterator[Callable[[], None] | None]:
    """Make a folder on a disk with about `size` bytes free; yields a limit to set in a fork."""
    place.mkdir(parents=True)
    blocks = max(1, (size + 4095) // 4096)
    options = f"size={4096 * (blocks + 1)}"
    mounting = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)]
    if os.geteuid() or subprocess.run(mounting, capture_output=True, check=False).returncode:
        yield lambda: _limit_files(size)
        return
    try:
        if size == 0:  # the last block is taken too
            with contextlib.suppress(OSError), (place / ".filler").open("wb") as file:
                for _ in range(blocks + 1):
                    file.write(b"\0" * 4096)
                    file.flush()
        yield None
    finally:
        subprocess.run(["umount", "-l", str(place)], check=False)


def _limit_files(size: int) -> None:
    import resource  # Windows has none

    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
