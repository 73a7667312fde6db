"""A small Ray cluster on this machine, of which parts die while it works; Linux, needs Ray.

python -m benchmarks.cluster

Three nodes run, each in a process group of its own. Lists of work go through them: jobs of
`animate --jobs`, clips of `prepare`, and a test of `evaluate`. While each runs, a worker is killed
(kill -9), then a whole node, and then the disk of another node is full: in the node's own mount
namespace a full file system lies over the folder of results (this needs root; without it a line
says that it was left out). Afterwards each result has to be there once and to equal that of one
process to the last bit. A table says what was found; the command returns 1 if something differs.
"""

import argparse
import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from animate_anyone.dataset.manifest import MANIFEST
from animate_anyone.evaluation.held_out import held_out_pair
from animate_anyone.media import to_bytes
from animate_anyone.media.writer import VideoWriter
from animate_anyone.pose.files.keypoints import write_keypoints
from animate_anyone.types import Size

ROOT = Path(__file__).resolve().parents[1]
SIDE = Size(64, 64)
FRAMES = 8  # of a clip that is prepared
MACHINE = ["--device=cpu", "--threads=1"]
WAIT_S = 900.0  # longest time without progress
SHARES = (1 / 6, 5 / 12, 2 / 3)  # of the results, after which worker, node and disk fail


@dataclass
class Node:
    """A node of the cluster: the process that started it, and the leader of its group."""

    process: subprocess.Popen

    def pids(self) -> list[int]:
        """Return all processes of the node: those of its group, and all that they started."""
        found, parents = {self.process.pid}, _parents()
        grew = True
        while grew:
            more = {pid for pid, (parent, group) in parents.items()
                    if parent in found or group == self.process.pid}  # fmt: skip
            grew, found = not more <= found, found | more
        return sorted(found)

    def worker(self) -> int | None:
        """Return the process of an actor; None if the node has none."""
        return next((pid for pid in self.pids() if "ray::_Actor" in _command(pid)), None)

    def kill(self) -> int:
        """Kill the whole node as a power cut would, and return the number of its processes."""
        pids = self.pids()
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()
        return len(pids)

    def fill(self, folder: Path) -> None:
        """Lay a full file system over a folder, which this node alone sees."""
        inside = ["nsenter", "-t", str(self.process.pid), "-m"]
        mount = ["mount", "-t", "tmpfs", "-o", "size=4k", "full", str(folder)]
        subprocess.run([*inside, *mount], check=True)
        subprocess.run(
            [*inside, "sh", "-c", f"head -c 8192 /dev/zero > '{folder}/full'"],
            check=False, stderr=subprocess.DEVNULL,
        )  # fmt: skip


class Cluster:
    """Three nodes of one processor each; those that died are started again for the next list."""

    def __init__(self, folder: Path) -> None:
        """Start the head, and then the others."""
        with socket.socket() as found:
            found.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{found.getsockname()[1]}"
        self.apart = _can_mount()
        self._log = (folder / "nodes.log").open("wb")
        self.head = self._start("--head", f"--port={self.address.rsplit(':')[-1]}")
        self.others: list[Node] = []
        self._ready(1)
        self._complete()

    def renew(self) -> None:
        """Replace the nodes beside the head by new ones."""
        for node in self.others:
            node.kill()
        self.others = []  # so that none of them is started again
        self._ready(1)
        self._complete()

    def _complete(self) -> None:
        """Start the nodes beside the head, one after another."""
        for count in (2, 3):
            self.others.append(self._start(f"--address={self.address}"))
            self._ready(count)

    def end(self) -> None:
        """Kill all nodes."""
        for node in (*self.others, self.head):
            node.kill()
        self._log.close()

    def _start(self, *more: str) -> Node:
        words = [sys.executable, "-m", "ray.scripts.scripts", "start", "--block", "--num-cpus=1"]
        words += ["--disable-usage-stats", "--object-store-memory=100000000", *more]
        if "--head" in more:
            words.append("--include-dashboard=false")
        elif self.apart:
            words = ["unshare", "-m", *words]
        about = {"stdout": self._log, "stderr": self._log, "env": _environment()}
        return Node(subprocess.Popen(words, start_new_session=True, **about))

    def _ready(self, count: int) -> None:
        """Wait until so many nodes are alive; a node that gave up on a busy machine starts again.

        The head's own tables are asked, since each process that connects costs seconds.
        """
        words = "import sys, time; from ray._raylet import GcsClient\n"
        words += f"end = time.monotonic() + {WAIT_S}\n"
        words += "while time.monotonic() < end:\n    try:\n"
        words += (
            f"        nodes = GcsClient(address='{self.address}').get_all_node_info().values()\n"
        )
        words += f"        if sum(node.state == 0 for node in nodes) == {count}: sys.exit(0)\n"
        words += "    except Exception: pass\n    time.sleep(1)\nsys.exit(1)"
        waiting = subprocess.Popen([sys.executable, "-c", words], env=_environment())
        while waiting.poll() is None:
            for place, node in enumerate(self.others):
                if node.process.poll() is not None:
                    node.kill()
                    self.others[place] = self._start(f"--address={self.address}")
            time.sleep(0.5)
        if waiting.returncode:
            raise RuntimeError(f"the cluster has no {count} nodes; see its log")


@dataclass(frozen=True)
class Work:
    """One list of work, by one process and by the cluster."""

    name: str
    count: int
    words: list[str]  # of the command, up to `--out`
    done: Callable[[Path], int]  # how many results are in a folder
    results: Callable[[Path], dict[str, str]]  # a hash of each result
    disk: Callable[[Path], Path]  # the folder that workers write to


def main() -> int:
    """Run all lists and print the table."""
    words = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    words.add_argument("--jobs", type=int, default=60, help="jobs of animate (default: 60)")
    words.add_argument("--clips", type=int, default=24, help="clips to prepare (default: 24)")
    words.add_argument("--pairs", type=int, default=24, help="clips to evaluate (default: 24)")
    words.add_argument("--only", nargs="+", help="names of lists: animate prepare evaluate")
    options = words.parse_args()
    with tempfile.TemporaryDirectory() as name, _cluster(Path(name)) as cluster:
        folder, rows = Path(name), []
        for work in _works(folder, options):
            if options.only and work.name not in options.only:
                continue
            if rows:
                cluster.renew()
            rows.append(_row(work, folder, cluster))
            print(rows[-1], flush=True)
    print(f"\n{_HEAD}", *rows, sep="\n")
    return 0 if all(" yes |" in row for row in rows) else 1


_HEAD = """| list | results | worker killed after | node killed after | disk full after | once and \
equal | s by one process | s by the cluster |
| --- | --- | --- | --- | --- | --- | --- | --- |"""


def _row(work: Work, folder: Path, cluster: Cluster) -> str:
    """Run a list by one process and by the cluster, and return its row of the table."""
    one, many = (folder / f"{work.name}-{how}" for how in ("one", "ray"))
    start = time.monotonic()
    command_line(work.words, one, folder / "log").wait()
    alone, start = time.monotonic() - start, time.monotonic()
    process = command_line([*work.words, "--ray", cluster.address], many, folder / "log")
    worker, node, disk = _break(work, many, process, cluster)
    code = process.wait()
    spent = time.monotonic() - start
    ours, theirs = work.results(many), work.results(one)
    same = code == 0 and ours == theirs and len(theirs) >= work.count
    if not same:
        _explain(code, ours, theirs, folder / "log")
    verdict = "yes" if same else "NO"
    cells = (work.name, work.count, worker, node, disk, verdict, f"{alone:.0f}", f"{spent:.0f}")
    return f"| {' | '.join(map(str, cells))} |"


def _break(
    work: Work, out: Path, process: subprocess.Popen, cluster: Cluster
) -> tuple[str, str, str]:
    """Let a worker, a node and a disk fail; return how many results there were each time."""
    dying, full = cluster.others
    told = []
    for share in SHARES[:2]:
        if not _reached(work, out, process, share):
            return "not reached", "not reached", "not reached"
        if len(told) == 0:
            worker = dying.worker() or full.worker()
            if worker is not None:
                os.kill(worker, signal.SIGKILL)
            told.append("no worker there" if worker is None else f"{work.done(out)}")
        else:
            count = work.done(out)
            told.append(f"{count} ({dying.kill()} processes)")
    if not cluster.apart:
        return told[0], told[1], "left out: no right to mount"
    if not _reached(work, out, process, SHARES[2]):
        return told[0], told[1], "not reached"
    count = work.done(out)
    full.fill(work.disk(out))
    return told[0], told[1], f"{count}"


def _reached(work: Work, out: Path, process: subprocess.Popen, share: float) -> bool:
    """Wait until a share of the results is there; False if the command ended before."""
    last, changed = -1, time.monotonic()
    while process.poll() is None:
        count = work.done(out)
        if count >= share * work.count:
            return True
        if count != last:
            last, changed = count, time.monotonic()
        if time.monotonic() - changed > WAIT_S:
            process.kill()
        time.sleep(0.05)
    return False


def _works(folder: Path, options: argparse.Namespace) -> Iterator[Work]:
    """Draw characters, and yield the three lists."""
    jobs = write_jobs(folder, options.jobs, frames=4)
    yield Work(
        "animate",
        options.jobs,
        [*jobs, "--steps=4"],
        lambda out: len(list(out.rglob("*.mp4.json"))),
        _frames_of_jobs,
        lambda out: out,
    )
    for number in range(options.clips):
        pair = held_out_pair(number, FRAMES)
        path = folder / "clips" / f"{number:03d}.mp4"
        path.parent.mkdir(exist_ok=True)
        pictures = to_bytes(pair.truth)
        with VideoWriter(path, Size(pictures.shape[2], pictures.shape[1]), 30) as writer:
            writer.write(pictures)
    caches = ["--cache=latents,tokens", "--min-frames=4"]
    yield Work(
        "prepare",
        options.clips,
        ["prepare", f"--clips={folder / 'clips'}", "--size=64x64", *caches, *MACHINE],
        lambda out: len(list((out / "clips").glob("[0-9]*"))),
        _files,
        lambda out: out / "clips",
    )
    test = ["--protocol=mini", f"--pairs={options.pairs}", "--frames=4", "--steps=2"]
    yield Work(
        "evaluate",
        options.pairs,
        ["evaluate", *test, *MACHINE, "--keep-as=png"],
        lambda out: len(list((out / "rows").glob("*.json"))),
        _figures,
        lambda out: out.with_name(f"{out.name}-clips"),
    )


def write_jobs(folder: Path, count: int, frames: int) -> list[str]:
    """Draw characters, write a list of jobs, and return the command that runs it."""
    for number in range(6):
        pair = held_out_pair(number, FRAMES)
        Image.fromarray(to_bytes(pair.reference)[0]).save(folder / f"{number}.png")
        write_keypoints(folder / f"{number}.json", pair.skeletons)
    jobs = (
        {"name": f"{n % 6}/{n}", "reference": f"{n % 6}.png", "poses": f"{n % 5}.json", "seed": n}
        for n in range(count)
    )
    (folder / "jobs.jsonl").write_text("".join(json.dumps(job) + "\n" for job in jobs))
    small = [f"--size={SIDE.width}x{SIDE.height}", f"--frames={frames}", "--overlap=1"]
    return ["animate", f"--jobs={folder / 'jobs.jsonl'}", *small, *MACHINE]


def _frames_of_jobs(out: Path) -> dict[str, str]:
    """Return the hash of the frames of each job, whose video has to be the only one of its name."""
    found = {}
    for record in out.rglob("*.mp4.json"):
        values = json.loads(record.read_text())
        video = record.with_suffix("")
        whole = video.is_file() and _hash(video) == values["sha256"]
        found[values["name"]] = values["frames_sha256"] if whole else "damaged"
    extra = {path.name: "extra" for path in out.rglob("[!.]*.mp4") if not _record(path).is_file()}
    return found | extra


def _record(video: Path) -> Path:
    return video.with_name(f"{video.name}.json")


def _files(out: Path) -> dict[str, str]:
    """Return the hash of every file of a prepared set; none of one that is not whole."""
    if not (out / MANIFEST).is_file():
        return {}
    files = (path for path in out.rglob("*") if path.is_file())
    return {path.relative_to(out).as_posix(): _hash(path) for path in files}


def _figures(out: Path) -> dict[str, str]:
    """Return the hash of the whole report, and of every picture of the kept clips."""
    clips = out.with_name(f"{out.name}-clips")
    pictures = {str(path.relative_to(clips)): _hash(path) for path in clips.glob("[!.]*/*.png")}
    report = out / "report.json"
    return pictures | ({"report": _hash(report)} if report.is_file() else {})


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _explain(code: int, ours: dict[str, str], theirs: dict[str, str], log: Path) -> None:
    unlike = sorted(n for n in {**ours, **theirs} if ours.get(n) != theirs.get(n))
    print(f"exit code {code}; {len(unlike)} of {len(theirs)} differ: {unlike[:5]}")
    print(log.read_text(errors="replace")[-3000:])


def command_line(words: list[str], out: Path, log: Path) -> subprocess.Popen:
    """Start a command of the package with its folder of results."""
    if words[0] == "evaluate":
        words = [*words, f"--keep-clips={out.with_name(f'{out.name}-clips')}"]
    with log.open("ab") as file:
        about = {"stdout": file, "stderr": file, "cwd": ROOT, "env": _environment()}
        given = [sys.executable, "-m", "animate_anyone", *words, f"--out={out}"]
        return subprocess.Popen(given, **about)


def _environment() -> dict[str, str]:
    usual = {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return {**os.environ, **usual, "RAY_AUTH_MODE": "disabled", "RAY_worker_niceness": "0"}


def _can_mount() -> bool:
    """Return whether a process may get file systems of its own."""
    if os.geteuid() or not all(map(shutil.which, ("unshare", "nsenter", "mount"))):
        return False
    with tempfile.TemporaryDirectory() as folder:
        words = ["unshare", "-m", "mount", "-t", "tmpfs", "-o", "size=4k", "full", folder]
        return subprocess.run(words, check=False, capture_output=True).returncode == 0


def _parents() -> dict[int, tuple[int, int]]:
    """Return the parent and the process group of every process."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            fields = path.read_text().rsplit(")", 1)[1].split()
            found[int(path.parent.name)] = int(fields[1]), int(fields[2])
    return found


def _command(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
    return ""


@contextmanager
def _cluster(folder: Path) -> Iterator[Cluster]:
    cluster = Cluster(folder)
    try:
        yield cluster
    finally:
        cluster.end()


if __name__ == "__main__":
    sys.exit(main())
