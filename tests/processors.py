"""Runs the numeric tests with the arithmetic of several processors. Standard library only.

Libraries choose code for the processor, with different vector widths, orders of summation and
rounding of bf16. Environment variables make them choose the code for an older processor. Each
combination of variables runs in its own process, one after the other. Without --all only some
combinations run: each pair of values of two variables is in at least one of them.

Usage: processors.py [--all] [--patience SECONDS] [PATH ...]    (PATHs replace the numeric tests)
"""

import argparse
import os
import queue
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations, product
from pathlib import Path
from typing import IO

REPOSITORY = Path(__file__).resolve().parent.parent
NUMERIC = (
    "tests/core/networks",
    "tests/core/diffusion",
    "tests/core/parity",
    "tests/core/test_animate.py",
    "tests/core/training/test_run.py",
    "tests/core/training/test_loop.py",
    "tests/core/training/test_losses.py",
    "tests/core/training/test_variants.py",
    "tests/core/training/test_initial_layers.py",
    "tests/core/training/test_own_clip.py",
    "tests/core/training/test_prepared_source.py",
    "tests/core/mini/test_pose_pair.py",
    "tests/core/evaluation",
    "tests/core/benchmarks/test_denoise.py",
    "tests/core/dataset/test_prepare.py",
    "tests/core/drawn",
    "tests/core/pose/networks",
    "tests/core/weights/test_encoders.py",
)
# Variables and their values. An empty value leaves the choice to the library. Values above what
# the processor supports have no effect.
SETTINGS: dict[str, tuple[str, ...]] = {
    "ATEN_CPU_CAPABILITY": ("", "avx2", "default"),  # torch's own kernels
    "ONEDNN_MAX_CPU_ISA": (
        "",
        "AVX512_CORE",
        "AVX2",
    ),  # its convolutions; no bf16 in the last two
    "OMP_NUM_THREADS": ("1", "2", "3"),  # how many parts sums are split into
    "MKL_CBWR": ("", "COMPATIBLE"),  # torch's matrix products
    "OPENBLAS_CORETYPE": ("", "Prescott"),  # numpy's matrix products
}
PATIENCE_S = 600.0  # a combination without output for this long is killed
RESULT = re.compile(r"^(\S+::.+?) (PASSED|FAILED|ERROR|SKIPPED|XFAIL|XPASS)\b")


@dataclass
class Outcome:
    """The result of one combination."""

    chosen: Mapping[str, str]
    passed: int = 0
    failed: list[str] = field(default_factory=list)  # the names of tests
    trouble: str = ""  # why it did not finish

    @property
    def good(self) -> bool:
        """Whether tests ran and all of them passed."""
        return bool(self.passed) and not (self.failed or self.trouble)


def every() -> list[dict[str, str]]:
    """Return all combinations."""
    return [dict(zip(SETTINGS, values, strict=True)) for values in product(*SETTINGS.values())]


def covering() -> list[dict[str, str]]:
    """Return a few combinations that hold every pair of values of two settings."""
    chosen, left = [], set().union(*map(_pairs, every()))
    while left:
        best = max(every(), key=lambda one: len(_pairs(one) & left))
        left -= _pairs(best)
        chosen.append(best)
    return chosen


def _pairs(chosen: Mapping[str, str]) -> set[tuple[tuple[str, str], ...]]:
    return set(combinations(chosen.items(), 2))


def try_one(
    chosen: Mapping[str, str],
    paths: Sequence[str],
    *,
    patience: float = PATIENCE_S,  # seconds without any output
    more: Sequence[str] = (),  # further arguments of pytest
) -> Outcome:
    """Run the tests with one combination; kill the run if it prints nothing for too long."""
    outcome = Outcome(chosen)
    environment = {k: v for k, v in os.environ.items() if k not in SETTINGS}
    environment |= {k: v for k, v in chosen.items() if v}
    environment |= {"OMP_WAIT_POLICY": "passive", "PYTHONUNBUFFERED": "1", "COLUMNS": "100"}
    command = [sys.executable, "-m", "pytest", "-v", "--color=no", "--tb=short"]
    command += ["-p", "no:cacheprovider", *paths, *more]
    with subprocess.Popen(
        command,
        cwd=REPOSITORY,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,  # so that its child processes can be killed too
    ) as process:
        assert process.stdout is not None
        output = _read_results(process.stdout, outcome, patience)
        if outcome.trouble:
            _end(process)
    if not outcome.trouble and process.returncode not in (0, 1):
        outcome.trouble = f"pytest ended with {process.returncode}"
    if not outcome.good:
        sys.stdout.write(output)
    return outcome


def _read_results(source: IO[bytes], outcome: Outcome, patience: float) -> str:
    """Count results until the output ends or pauses for too long; return the output."""
    chunks: queue.Queue[bytes] = queue.Queue()

    def read() -> None:
        while new := os.read(source.fileno(), 65536):
            chunks.put(new)
        chunks.put(b"")

    threading.Thread(target=read, daemon=True).start()
    output = line = ""
    try:
        while new := chunks.get(timeout=patience):
            text = new.decode(errors="replace")
            output += text
            *lines, line = (line + text).split("\n")
            for found in filter(None, map(RESULT.match, lines)):
                _count(outcome, *found.groups())
    except queue.Empty:
        outcome.trouble = f"no progress for {patience:g} s in {line.strip() or 'pytest'}"
    return output


def _count(outcome: Outcome, name: str, how: str) -> None:
    outcome.passed += how == "PASSED"
    if how in ("FAILED", "ERROR"):
        outcome.failed.append(name)
        sys.stdout.write(f"{how} {name}\n")
        sys.stdout.flush()


def _end(process: subprocess.Popen[bytes]) -> None:
    if sys.platform == "win32":
        process.kill()
    else:
        os.killpg(process.pid, signal.SIGKILL)


def table(outcomes: Sequence[Outcome]) -> str:
    """Return one line for each combination, then the names of failed tests."""
    rows = [[*SETTINGS, "passed", "failed", ""]]
    for one in outcomes:
        values = [one.chosen[name] or "-" for name in SETTINGS]
        end = one.trouble or ("ok" if one.good else "FAILED")
        rows.append([*values, str(one.passed), str(len(one.failed)), end])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
    where: dict[str, list[int]] = {}
    for number, one in enumerate(outcomes, 1):
        for name in one.failed:
            where.setdefault(name, []).append(number)
    lines += [f"{name}: failed in line {', '.join(map(str, n))}" for name, n in where.items()]
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str]) -> int:
    """Run the combinations; return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("paths", nargs="*", help="tests to run instead of the numeric ones")
    parser.add_argument("--all", action="store_true", help="run every combination")
    parser.add_argument("--patience", type=float, default=PATIENCE_S, help="seconds without output")
    wanted = parser.parse_args(arguments)
    chosen, outcomes = every() if wanted.all else covering(), []
    for number, one in enumerate(chosen, 1):
        named = " ".join(f"{name}={value}" for name, value in one.items() if value)
        sys.stdout.write(f"{number} of {len(chosen)}: {named}\n")
        sys.stdout.flush()
        outcomes.append(try_one(one, wanted.paths or NUMERIC, patience=wanted.patience))
    sys.stdout.write(table(outcomes))
    return 0 if all(one.good for one in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
