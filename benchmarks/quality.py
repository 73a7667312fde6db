"""What steps, guidance, interval and step cache cost and give: one table of quality over cost.

    python -m benchmarks.quality --out FOLDER [--models aa-mini] [--pairs 16] [--frames 1]
        [--settings NAME ...] [--picture FILE]

Drawn characters that training never saw, in two groups: *determined* (a front is asked and the
reference shows the front) and *undetermined* (a back is asked that the reference does not show).
Where the answer is determined a network may regress to it in one step, so only the other group can
show what a saving costs. Flicker and motion need `--frames 9` or more.

FOLDER keeps one line for each clip that was measured; a run that was stopped goes on after the last
of them, and another run with more settings or pairs adds its own. CPU seconds and operations are
those of the whole clip: reference, sampling and decoding. `--picture` also draws LPIPS and
sharpness over the operations.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from animate_anyone.animate import Networks, Sampling, sampling_of
from animate_anyone.diffusion.guidance import GuidanceInterval
from animate_anyone.errors import InputError
from animate_anyone.evaluation.held_out import GROUPS, group_pair, held_out_pair
from animate_anyone.evaluation.measure import measure
from animate_anyone.evaluation.metrics.lpips import installed_lpips
from animate_anyone.evaluation.metrics.metric import Instruments
from animate_anyone.evaluation.metrics.table import METRICS
from animate_anyone.evaluation.pairs import Pair, generate
from animate_anyone.evaluation.pose_reader import PoseReader
from animate_anyone.evaluation.report import case_of
from animate_anyone.weights.load import load_models
from animate_anyone.weights.pose_models import open_pose_pair

from .quality_picture import draw

FIGURES = ("psnr", "ssim", "lpips", "sharpness", "pck", "flicker", "motion_error")
_HALF = GuidanceInterval(start=0.25, end=0.75)
_LAST_HALF = GuidanceInterval(start=0.5)
_GUIDED = 1.5  # guidance for a preset that samples without
# Changes of the preset's sampling, by name; "plain" is without guidance.
SETTINGS: dict[str, dict[str, Any]] = {
    **{f"{steps} plain": {"steps": steps, "guidance": 1.0} for steps in (1, 2, 4, 8, 20)},
    **{f"{steps} guided": {"steps": steps} for steps in (1, 2, 4, 8, 20)},
    "20 interval": {"steps": 20, "interval": _HALF},
    "20 cache 2": {"steps": 20, "step_cache": 2},
    "20 cache 3": {"steps": 20, "step_cache": 3},
    "20 interval, cache 2": {"steps": 20, "interval": _HALF, "step_cache": 2},
    "20 interval, cache 3": {"steps": 20, "interval": _HALF, "step_cache": 3},
    "20 last half": {"steps": 20, "interval": _LAST_HALF},
    "20 last half, cache 4": {"steps": 20, "interval": _LAST_HALF, "step_cache": 4},
}
KINDS = ("determined", "undetermined")


def pair_of(kind: str, number: int, frames: int) -> Pair:
    """Return a pair of a group, from number 0."""
    if kind == "determined":
        return held_out_pair(number, frames)
    return group_pair(GROUPS[-1], number, frames)


def run_clip(
    models: Networks,
    pair: Pair,
    sampling: Sampling,
    instruments: Instruments,
) -> dict[str, float]:
    """Animate and measure a pair; return its figures, calls of the denoiser and CPU seconds."""
    calls = 0

    def count(*_: object) -> None:
        nonlocal calls
        calls += 1

    hook = models.denoiser.conv_in.register_forward_hook(count)
    try:
        start = time.process_time()
        clip = generate(models, pair, sampling)
        seconds = time.process_time() - start
    finally:
        hook.remove()
    row = measure(clip, case_of(pair, sampling, instruments), instruments)
    return {"calls": calls, "seconds": seconds, **row}


def operations_of(models: Networks, pair: Pair, sampling: Sampling) -> int:
    """Return the floating-point operations of a whole clip; a multiplication and addition are 2."""
    with FlopCounterMode(display=False) as counter:
        generate(models, pair, sampling)
    return counter.get_total_flops()


def measure_all(
    models: Networks,
    settings: Iterable[str],
    instruments: Instruments,
    kept: Path,  # lines of JSON: those there are not measured again
    pairs: int = 16,  # of each group
    frames: int = 1,
) -> None:
    """Measure each setting on each pair, and add a line to the file for each."""
    done = {_name(line) for line in read_lines(kept)}
    for setting in settings:
        usual = sampling_of(models.preset)
        guided = replace(usual, guidance=usual.guidance if usual.guidance > 1 else _GUIDED)
        sampling = replace(guided, **SETTINGS[setting])
        for kind in KINDS:
            for number in range(pairs):
                what = {"setting": setting, "kind": kind, "number": number, "frames": frames}
                what["models"] = models.preset.title
                if _name(what) in done:
                    continue
                pair, seeded = pair_of(kind, number, frames), replace(sampling, seed=number)
                figures = run_clip(models, pair, seeded, instruments)
                if number == 0:
                    figures["operations"] = operations_of(models, pair, seeded)
                with kept.open("a", encoding="utf-8") as file:
                    file.write(json.dumps({**what, "figures": figures}) + "\n")


def read_lines(kept: Path) -> list[dict[str, Any]]:
    """Return the lines of a file; none if it is absent. A torn last line is left out."""
    lines = kept.read_text(encoding="utf-8").splitlines() if kept.exists() else []
    found = []
    for number, line in enumerate(lines, start=1):
        try:
            found.append(json.loads(line))
        except json.JSONDecodeError as error:
            if number < len(lines):
                raise InputError(f"{kept} got a damaged line {number}; remove it.") from error
    if lines and len(found) < len(lines):
        text = "".join(f"{json.dumps(line)}\n" for line in found)
        kept.write_text(text, encoding="utf-8")
    return found


def _name(line: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(line[key] for key in ("models", "setting", "kind", "number", "frames"))


def as_table(lines: Sequence[dict[str, Any]]) -> str:
    """Return the means of each setting and group as Markdown."""
    titles = [METRICS[name].title for name in FIGURES]
    header = ["", "setting", "clips", "calls", "GFLOP", "CPU s", *titles]
    rows = [header, ["---"] * len(header), *_rows(lines)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows) + "\n"


def _rows(lines: Sequence[dict[str, Any]]) -> Iterator[list[str]]:
    for kind in KINDS:
        for setting in SETTINGS:
            found = [x["figures"] for x in lines if (x["kind"], x["setting"]) == (kind, setting)]
            if not found:
                continue
            total = [row["operations"] / 1e9 for row in found if "operations" in row]
            yield [
                *(kind, setting, str(len(found)), _mean(found, "calls", 1)),
                f"{np.mean(total):.1f}" if total else "",
                _mean(found, "seconds", 2),
                *(_mean(found, name, METRICS[name].digits) for name in FIGURES),
            ]


def _mean(rows: Sequence[dict[str, float]], name: str, digits: int) -> str:
    values = [row[name] for row in rows if name in row]
    return f"{np.mean(values):.{digits}f}" if values else ""


def main(words: Sequence[str] | None = None) -> None:
    """Measure what is missing, and print the table of one model and length."""
    parser = argparse.ArgumentParser(prog="benchmarks.quality", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    add = parser.add_argument
    add("--out", type=Path, required=True, metavar="FOLDER", help="keeps what was measured")
    add("--models", default="aa-mini", help="a weight set of drawn characters")
    add("--pairs", type=int, default=16, help="of each group, 1 to 16 (default: 16)")
    add("--frames", type=int, default=1, help="of each clip (default: 1)")
    add("--settings", nargs="+", choices=tuple(SETTINGS), default=tuple(SETTINGS))
    add("--picture", type=Path, metavar="FILE", help="draw the curves into this file (.png, .webp)")
    add("--threads", type=int, default=1, help="CPU threads (default: 1)")
    options = parser.parse_args(words)
    if not (1 <= options.pairs <= 16 and options.frames >= 1):
        parser.error("--pairs must be 1 to 16, and --frames 1 or more")
    torch.set_num_threads(options.threads)
    options.out.mkdir(parents=True, exist_ok=True)
    kept = options.out / "quality.jsonl"
    models = load_models(options.models)
    reader = PoseReader(open_pose_pair(provider="cpu"))
    instruments = Instruments(metrics=FIGURES, pose=reader, lpips=installed_lpips())
    measure_all(models, options.settings, instruments, kept, options.pairs, options.frames)
    key = (models.preset.title, options.frames)
    lines = [line for line in read_lines(kept) if (line["models"], line["frames"]) == key]
    sys.stdout.write(as_table(lines))
    if options.picture is not None:
        draw(lines).save(options.picture, lossless=True)


if __name__ == "__main__":
    main()
