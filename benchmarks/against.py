"""The public implementation's guidance pairs and ours, alternately in one run.

`benchmarks.speed --against PATH` calls this. PATH is a checkout of Moore-AnimateAnyone, which is
not part of this project. Its networks run in an environment of their own, made once in a folder:
the packages that it needs, with this environment's torch, so that both compute with the same
kernels. Ours runs in a process of its own too.
"""

import json
import subprocess
import sys
import venv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch

from animate_anyone.errors import InputError

ROOT = Path(__file__).resolve().parent.parent
NEEDS = ("diffusers==0.24.0", "transformers==4.38.2", "huggingface_hub<0.26", "tokenizers<0.19")
PUBLIC_PAIR = ("-m", "benchmarks.public_pair")  # what their Python runs, in `ROOT`
SIGN = "src/models/unet_3d.py"  # a file by which the checkout is recognised


def make_environment(folder: Path) -> Path:
    """Make the public implementation's environment if it is not there; return its Python."""
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    if (folder / "complete").exists():
        return python
    sys.stderr.write(f"making {folder} ...\n")
    venv.create(folder, with_pip=True, clear=True)
    found = [str(python), "-c", "import site; print(site.getsitepackages()[0])"]
    site = Path(subprocess.run(found, check=True, capture_output=True, text=True).stdout.strip())
    packages = Path(torch.__file__).resolve().parent.parent
    # Listed after the environment's own packages, so that those win.
    (site / "torch_of_ours.pth").write_text(f"{packages}\n", encoding="utf-8")
    install = [
        str(python),
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        *NEEDS,
        "tokenizers<0.16",
    ]
    subprocess.run(install, check=True)
    (folder / "complete").touch()
    return python


def check_checkout(path: Path) -> None:
    """Raise InputError if a folder is no checkout of the public implementation."""
    if not (path / SIGN).is_file():
        raise InputError(
            f"--against got {path}, which has no {SIGN}; name a checkout of Moore-AnimateAnyone, "
            "as `git clone` makes it."
        )


@contextmanager
def running(command: Sequence[str]) -> Iterator["subprocess.Popen[str]"]:
    """Start a process that answers lines, and wait until it is ready."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=ROOT, **pipes) as process:
        try:
            ask(process, None)
            yield process
        finally:
            if process.stdin is not None:
                process.stdin.close()


def ask(process: "subprocess.Popen[str]", line: str | None = "pair") -> dict[str, float]:
    """Send a line and return the answer, the next line of JSON."""
    assert process.stdin is not None
    assert process.stdout is not None
    if line is not None:
        process.stdin.write(f"{line}\n")
        process.stdin.flush()
    for answer in process.stdout:
        if answer.startswith("{"):  # its imports may print
            return json.loads(answer)
    raise InputError(
        f"--against got a checkout whose process has ended with {process.wait()}; what it says "
        "stands above."
    )


def compare(
    theirs: Sequence[str],  # commands that answer lines, as public_pair.py does
    ours: Sequence[str],
    pairs: int,
    steps: int | None = None,  # of whole runs with our savings, to compare with as many pairs
) -> dict[str, dict[str, float]]:
    """Return the least time and the peak memory of both, and their ratios.

    With `steps` our process is asked once for `runs` and answers the seconds of each setting.
    """
    taken: dict[str, list[dict[str, float]]] = {"public": [], "ours": []}
    with running(theirs) as public, running(ours) as own:
        for number in range(pairs):
            for name, process in (("public", public), ("ours", own)):
                answer = ask(process)
                taken[name].append(answer)
                sys.stderr.write(f"pair {number + 1} {name}: {answer['seconds']:.2f} s\n")
        runs = {} if steps is None else ask(own, "runs")
    results = {
        name: {
            "seconds": min(one["seconds"] for one in answers),
            "peak_mb": max(one["peak_mb"] for one in answers),
        }
        for name, answers in taken.items()
    }
    public_row, own_row = results["public"], results["ours"]
    results["ratio"] = {key: public_row[key] / own_row[key] for key in own_row}
    if steps is not None:
        whole = steps * public_row["seconds"]
        results["ratio of runs"] = {setting: whole / taken for setting, taken in runs.items()}
    return results
