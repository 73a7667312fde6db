"""The cost of a training step: measured speed, and the memory on a graphics card by counting.

    python -m benchmarks.training speed [--steps 20] [--threads 2] [--device cpu] [--json]
    python -m benchmarks.training speed --recipe 24gb --size 512x512 --device cuda
    python -m benchmarks.training memory [--recipe 24gb] [--size 512x512] [--json]

`speed` runs the trainer on drawn characters, each row of the table in its own process. The data
are shards, and a prepared data set of clips with and without cached latents. Recipes of full-size
networks start from random weights and get random latents. The first steps are warm-up and are not
counted.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch

from animate_anyone.dataset.manifest import ClipDataset
from animate_anyone.dataset.prepare import prepare
from animate_anyone.dataset.settings import PrepareConfig
from animate_anyone.dataset.tools import ToolMaker
from animate_anyone.drawn.clip import paint_clip, skeletons_of
from animate_anyone.media import VideoWriter
from animate_anyone.pose.files.keypoints import write_keypoints
from animate_anyone.training.config import TrainingConfig
from animate_anyone.training.loop.trainer import Surroundings, Trainer
from animate_anyone.training.networks import IMAGE_ENCODER
from animate_anyone.training.recipes import get_recipe
from animate_anyone.training.sources.batch import Batch, Draw, Source
from animate_anyone.training.sources.prepared import ClipSource
from animate_anyone.training.sources.shards import Shards, write_shards
from animate_anyone.types import Size
from animate_anyone.weights.load import load_mini
from animate_anyone.weights.sets.table import get_preset

from .peak_memory import peak_mb as process_peak_mb
from .training_memory import Need, count

WARM_UP = 5  # steps; also the number of steps in one report
CLIPS, CLIP_FRAMES = 3, 30  # number of drawn clips, and frames of each
LEAST_SHARE = 0.9  # of the time must go to steps; else waiting for data takes too long
# Memory of a card that tensors cannot use: CUDA context 0.5, workspaces of cuDNN and cuBLAS 0.5,
# gaps of the allocator 1.
CARD_GIB, MARGIN_GIB = 24, 2
MINI_ROWS = (("shards", 0), ("cached", 1), ("cached", 2), ("pictures", 1), ("pictures", 2))


@dataclass(frozen=True)
class RandomSource:
    """Random latents and tokens with empty poses, for networks whose data are not at hand."""

    size: Size
    channels: int  # of a latent
    token: int  # length of an image token

    def batch(self, draw: Draw, step: int, rows: Sequence[int]) -> Batch:
        """Return these rows of a step's batch."""
        generator = torch.Generator().manual_seed(step)
        b, f, h, w = len(rows), draw.frames, self.size.height // 8, self.size.width // 8
        return Batch(
            encoded=True,
            reference=torch.randn(b, self.channels, h, w, generator=generator),
            targets=torch.randn(b, self.channels, f, h, w, generator=generator),
            poses=torch.zeros(b, f, 3, self.size.height, self.size.width, dtype=torch.uint8),
            tokens=torch.randn(b, 1, self.token, generator=generator),
        )


def measure(
    config: TrainingConfig,
    source: Source,
    surroundings: Surroundings,
    folder: Path,  # of the run
    steps: int,  # after warm-up
) -> dict[str, float]:
    """Train; return speed, waiting time and memory after the warm-up."""
    steps = -(-steps // WARM_UP) * WARM_UP  # rounded up, because a report covers WARM_UP steps
    total = WARM_UP + steps
    config = replace(config, steps=total, report_every=WARM_UP, save_every=total, validate_every=0)
    peaks: list[float] = []

    def watch(step: int, _: int) -> None:
        if step == total:  # before anything is saved
            peaks.append(peak_mb())

    surroundings = replace(surroundings, progress=watch, start=lambda networks: None)
    trainer = Trainer(config, folder, surroundings=surroundings)
    trainer.run(source)
    lines = (trainer.folder / "log.jsonl").read_text(encoding="utf-8").splitlines()
    first, *reports = (json.loads(line) for line in lines)
    seconds = reports[-1]["seconds"] - first["seconds"]
    ends = [first["seconds"], *(report["seconds"] for report in reports)]
    waited = sum(
        (end - start) * report["share_of_time_waiting_for_data"]
        for start, end, report in zip(ends[:-1], ends[1:], reports, strict=True)
    )
    frames, reading = read_alone(config, source, range(WARM_UP, total))
    return {
        "samples_per_second": frames / seconds,
        "steps_per_second": steps / seconds,
        "waiting": waited / seconds,
        "reader": (steps / reading) / (steps / (seconds - waited)),
        "peak_mb": peaks[0],
    }


def read_alone(config: TrainingConfig, source: Source, steps: range) -> tuple[int, float]:
    """Read the data of these steps in one process; return the number of frames and the seconds."""
    draw = Draw(
        seed=config.seed,
        examples=config.examples,
        frames=config.frames,
        consecutive=config.stage == 2,
    )
    started, frames = time.perf_counter(), 0
    for step in steps:
        targets = source.batch(draw, step, range(config.examples)).targets
        frames += targets.shape[0] * targets.shape[2]
    return frames, time.perf_counter() - started


def peak_mb() -> float:
    """Return the peak memory so far: of the card if one is in use, else of this process."""
    if torch.cuda.is_initialized():
        return torch.cuda.max_memory_allocated() / 2**20
    return process_peak_mb()


def paint_data(folder: Path) -> None:
    """Write the data for the rows of aa-mini: shards, and data sets with and without latents."""
    size = Size(128, 128)
    autoencoder = load_mini().autoencoder
    assert autoencoder is not None
    for consecutive, frames in ((False, 7), (True, CLIP_FRAMES)):
        facts = {"first": 0, "shards": 1, "clips": CLIPS, "consecutive": consecutive, "size": size}
        write_shards(folder / "shards", autoencoder, frames=frames, **facts)
    for number in range(CLIPS):
        rng = np.random.default_rng(number)
        paintings = paint_clip(rng, np.arange(CLIP_FRAMES), size)
        path = folder / "films" / f"{number}.mp4"
        path.parent.mkdir(exist_ok=True)
        with VideoWriter(path, size, 30) as writer:
            writer.write(np.stack([painting.picture for painting in paintings]))
        (folder / "keypoints").mkdir(exist_ok=True)
        skeletons = skeletons_of(paintings, size)
        write_keypoints(folder / "keypoints" / f"{number}.json", skeletons)
    for name, caches in (("cached", ("latents",)), ("pictures", ())):
        tools = ToolMaker(stored=folder / "keypoints", caches=caches)
        settings = PrepareConfig(
            size=size, min_frames=25, poses=tools.poses_name(), cached=tools.cache_names()
        )
        prepare(folder / "films", folder / name, settings, tools)


def source_of(data: str, folder: Path, config: TrainingConfig, size: Size) -> Source:
    """Return the data source of a row."""
    if data == "random":
        unet = get_preset(config.preset).unet
        return RandomSource(size, unet.in_channels, unet.cross_attention_dim)
    if data == "shards":
        return Shards(folder / data, consecutive=config.stage == 2)
    return ClipSource(ClipDataset.open(folder / data), image_side=IMAGE_ENCODER.image_size)


def speed_row(options: argparse.Namespace) -> dict[str, float]:
    """Measure one row in this process."""
    stage, data, workers = options.one.split(",")
    torch.set_num_threads(options.threads)
    config = replace(get_recipe(options.recipe, int(stage)), workers=int(workers))
    if options.optimizer:
        config = replace(config, optimizer=options.optimizer)
    source = source_of(data, options.folder, config, options.size)
    surroundings = Surroundings(autoencoder=load_mini().autoencoder if data == "pictures" else None)
    with tempfile.TemporaryDirectory() as run:
        return measure(config, source, surroundings, Path(run), options.steps)


def speed(options: argparse.Namespace) -> list[dict]:
    """Measure all rows, each in a process of its own."""
    mini = get_preset(get_recipe(options.recipe, 1).preset).name == "aa-mini"
    kinds = MINI_ROWS if mini else (("random", get_recipe(options.recipe, 1).workers),)
    asked = [(stage, *kind) for stage in options.stages for kind in kinds]
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        if mini:
            tell("drawing the data")
            paint_data(Path(folder))
        for number, (stage, data, workers) in enumerate(asked, 1):
            tell(f"row {number} of {len(asked)}: stage {stage}, {data}, {workers} workers")
            found = in_own_process(f"{stage},{data},{workers}", folder, options)
            rows.append({"stage": stage, "data": data, "workers": workers, **found})
    return rows


def tell(line: str) -> None:
    """Say what is done now, apart from the table."""
    print(line, file=sys.stderr, flush=True)


def in_own_process(row: str, folder: str, options: argparse.Namespace) -> dict[str, float]:
    """Measure one row in a new process, whose peak memory is its own."""
    words = [sys.executable, "-m", "benchmarks.training", "speed", "--one", row]
    words += ["--folder", folder, "--recipe", options.recipe, "--steps", str(options.steps)]
    words += ["--threads", str(options.threads), "--size"]
    words += [f"{options.size.width}x{options.size.height}"]
    words += ["--optimizer", options.optimizer] if options.optimizer else []
    cpu = {"ACCELERATE_USE_CPU": "true"} if options.device == "cpu" else {}
    run = subprocess.run(
        words, stdout=subprocess.PIPE, text=True, check=True, env={**os.environ, **cpu}
    )
    return json.loads(run.stdout.splitlines()[-1])


def speed_table(rows: list[dict]) -> str:
    """Return the rows as a text table."""
    heads = ("stage", "data", "workers", "samples/s", "steps/s", "waiting", "one reader", "peak MB")
    lines = ["".join(f"{head:>12}" for head in heads)]
    for row in rows:
        enough = "" if 1 - row["waiting"] >= LEAST_SHARE else "  data too slow"
        lines.append(
            f"{row['stage']:>12}{row['data']:>12}{row['workers']:>12}"
            f"{row['samples_per_second']:>12.2f}{row['steps_per_second']:>12.3f}"
            f"{row['waiting']:>12.1%}{row['reader']:>11.1f}x{row['peak_mb']:>12.0f}{enough}"
        )
    lines.append(
        "waiting: share of the time spent waiting for data; "
        "one reader: how many times faster one process reads than steps compute"
    )
    return "\n".join(lines)


def memory(options: argparse.Namespace) -> dict[int, Need]:
    """Return the memory that each stage of a recipe needs."""
    needs = {}
    for stage in options.stages:
        config = get_recipe(options.recipe, stage)
        changes = {"frames": options.frames} if options.frames and stage == 2 else {}
        needs[stage] = count(get_preset(config.preset), replace(config, **changes), options.size)
    return needs


def memory_table(needs: dict[int, Need]) -> str:
    """Return the needs as a text table, and whether they fit on a card of CARD_GIB."""
    lines = [f"{'':<46}" + "".join(f"{f'stage {s} GB':>14}{'GiB':>8}" for s in needs)]
    for label, part in (
        ("weights, float32", "parameters"),
        ("gradients, float32", "gradients"),
        ("optimiser", "optimizer"),
        ("moving average", "average"),
        ("frozen encoders of validation, bfloat16", "encoders"),
        ("activations kept for the backward pass", "activations"),
        ("  more in the forward pass", "in_forward"),
        ("    of which autocast's copies of weights", "copies"),
        ("  more in the backward pass: largest layer", "layer"),
        ("peak", "total"),
    ):
        values = [getattr(need, part) for need in needs.values()]
        lines.append(f"{label:<46}" + "".join(f"{v / 1e9:>14.2f}{v / 2**30:>8.2f}" for v in values))
    for stage, need in needs.items():
        left = CARD_GIB - MARGIN_GIB - need.total / 2**30
        result = f"fits, {left:.2f} GiB to spare" if left >= 0 else f"lacks {-left:.2f} GiB"
        lines.append(
            f"stage {stage}: {result}, on {CARD_GIB} GiB less {MARGIN_GIB} for the CUDA context, "
            "workspaces and gaps"
        )
    return "\n".join(lines)


def main() -> None:
    """Print a table, or JSON."""
    options = parse()
    if options.what == "memory":
        needs = memory(options)
        result = {s: {**asdict(need), "total": need.total} for s, need in needs.items()}
        print(json.dumps(result, indent=2) if options.json else memory_table(needs))
    elif options.one:
        print(json.dumps(speed_row(options)))
    else:
        rows = speed(options)
        print(json.dumps(rows, indent=2) if options.json else speed_table(rows))


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="what", required=True)
    for what, recipe in (("speed", "aa-mini"), ("memory", "24gb")):
        command = commands.add_parser(what)
        command.add_argument("--recipe", default=recipe)
        command.add_argument("--stages", type=int, nargs="+", default=(1, 2), choices=(1, 2))
        command.add_argument("--size", type=size_of, default=Size(512, 512), metavar="WxH")
        command.add_argument("--json", action="store_true", help="print JSON instead of a table")
        if what == "memory":
            command.add_argument("--frames", type=int, help="frames of stage 2 (the recipe's)")
            continue
        command.add_argument("--steps", type=int, default=20, help="measured steps")
        command.add_argument("--threads", type=int, default=2)
        command.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
        command.add_argument("--optimizer", choices=("adamw", "adamw8bit"))
        command.add_argument("--one", help=argparse.SUPPRESS)
        command.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def size_of(text: str) -> Size:
    """Return the size in text like 512x512."""
    width, height = text.split("x")
    return Size(int(width), int(height))


if __name__ == "__main__":
    main()
