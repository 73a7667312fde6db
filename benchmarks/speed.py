"""What guidance interval and step cache save in a whole sampling run, and what they change.

    python -m benchmarks.speed [--calls] [--width 320] [--size 512x512] [--frames 2]

Random weights in the layout of the public ones; `--width` is the number of channels of the first
level, 320 in the public weights and 64 by default here. Each setting samples the same clip from
the same noise. Printed are CPU seconds of the process (milliseconds on a card), how many times as
fast as the exact run that is, and the relative error of the latents against the exact ones. Random
weights say nothing about the quality of pictures.

    python -m benchmarks.speed --against PATH [--width 320] [--size 256x256] [--frames 8]

PATH is a checkout of the public implementation. Guidance pairs of both run alternately, each in an
environment of its own; printed are the least CPU seconds (or seconds on a card), peak memory with
weights, and the ratios of theirs to ours. "ratio of runs" compares as many of their pairs as there
are steps (`--steps`) with our run in each setting, added up from calls as with `--calls`.
"""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from animate_anyone.animate import (
    PoseFeatures,
    ReferenceCondition,
    Sampling,
    denoise,
    sampling_of,
    starting_noise,
)
from animate_anyone.commands.options import parse_size
from animate_anyone.config import Preset
from animate_anyone.diffusion.guidance import GuidanceInterval
from animate_anyone.diffusion.step_cache import full_steps
from animate_anyone.networks.initialise import initialise
from animate_anyone.networks.levels import Level, PreparedCondition
from animate_anyone.networks.pose_guider import build_pose_guider
from animate_anyone.networks.unet import UNet
from animate_anyone.types import Size
from animate_anyone.weights.sets.moore import MOORE

from .against import PUBLIC_PAIR, check_checkout, compare, make_environment
from .public_pair import peak_mb

HALF = GuidanceInterval(start=0.25, end=0.75)
LAST_HALF = GuidanceInterval(start=0.5)
SETTINGS: dict[str, dict[str, Any]] = {
    "exact": {},
    "interval": {"interval": HALF},
    "cache 2": {"step_cache": 2},
    "cache 3": {"step_cache": 3},
    "interval, cache 2": {"interval": HALF, "step_cache": 2},
    "interval, cache 3": {"interval": HALF, "step_cache": 3},
    "interval, cache 5": {"interval": HALF, "step_cache": 5},
    "last half": {"interval": LAST_HALF},
    "last half, cache 4": {"interval": LAST_HALF, "step_cache": 4},
}


class Encoders:
    """Random encodings in place of ReferenceNet, autoencoder and image encoder."""

    def __init__(self, denoiser: UNet) -> None:
        self.denoiser, self.like = denoiser, next(denoiser.parameters())

    def encode(self, picture: Tensor) -> Tensor:
        """Return the picture as latents and token at once: `reference_features` reads the size."""
        self.rows, self.columns = (-(-side // 8) for side in picture.shape[2:])
        generator = torch.Generator().manual_seed(1)
        shape = (1, 1, self.denoiser.config.cross_attention_dim)
        return torch.randn(shape, generator=generator).to(self.like)

    def reference_features(self, latents: Tensor, context: Tensor) -> Sequence[Tensor]:
        """Return features with the shapes of ReferenceNet's."""
        return random_features(self.denoiser, self.rows, self.columns)


@dataclass
class RandomNetworks:
    """The networks of a weight set, with random weights."""

    preset: Preset
    denoiser: UNet
    reference_net: Any
    pose_guider: nn.Module
    autoencoder: Any
    image_encoder: Any


def random_features(denoiser: UNet, rows: int, columns: int) -> list[Tensor]:
    """Return random features with the shapes of ReferenceNet's for latents of this size."""
    like, features = _like(denoiser), []
    generator = torch.Generator().manual_seed(2)
    for part in (*denoiser.down_blocks, denoiser.mid_block, *denoiser.up_blocks):
        level = cast(Level, part)
        channels = denoiser.config.block_out_channels[level.level]
        places = -(-rows // 2**level.level) * -(-columns // 2**level.level)
        for _ in level.attentions:
            features.append(torch.randn(1, places, channels, generator=generator).to(like))
    return features


def _like(denoiser: UNet) -> Tensor:
    """Return a tensor in the dtype that the network computes in; other weights may be in fp8."""
    return cast(nn.GroupNorm, denoiser.conv_norm_out).weight


def inputs_of(
    denoiser: UNet,
    size: Size,
    frames: int,
    rows: int,  # 2: a guidance pair; 1: the conditional row
) -> tuple[Tensor, Tensor, PreparedCondition, Tensor]:
    """Return random inputs of one call of the denoiser."""
    like, config = _like(denoiser), denoiser.config
    h, w = size.height // 8, size.width // 8
    latents = torch.randn(1, config.in_channels, frames, h, w).to(like).repeat(rows, 1, 1, 1, 1)
    pose = torch.randn(1, config.block_out_channels[0], frames, h, w).to(like)
    context = torch.randn(rows, 1, config.cross_attention_dim).to(like)
    features, attends = random_features(denoiser, h, w), [False, True][-rows:]
    condition = denoiser.prepare(context, features, attends)
    return latents, torch.full((rows,), 500, device=like.device), condition, pose


def random_networks(
    width: int,  # channels of the first level
    device: torch.device,
    dtype: torch.dtype,
) -> RandomNetworks:
    """Return networks in the public layout whose every layer has an effect."""
    widths = tuple(width * factor for factor in (1, 2, 4, 4))
    unet = replace(MOORE.unet, block_out_channels=widths)
    guider = replace(MOORE.pose_guider, out_channels=width)
    preset = replace(MOORE, unet=unet, pose_guider=guider)
    networks = [UNet(unet), build_pose_guider(guider)]
    generator = torch.Generator().manual_seed(0)
    for network in networks:
        initialise(network, generator=generator)
        for value in network.parameters():
            if value.ndim > 1 and not value.any():
                nn.init.normal_(value, std=value[0].numel() ** -0.5, generator=generator)
        network.eval().requires_grad_(False).to(device, dtype)
        network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    denoiser = cast(UNet, networks[0])
    encoders = Encoders(denoiser)
    return RandomNetworks(preset, denoiser, encoders, networks[1], encoders, encoders)


@torch.inference_mode()
def latents_of(
    models: RandomNetworks, size: Size, frames: int, sampling: Sampling
) -> tuple[Tensor, float]:  # latents, seconds
    """Return the latents of a run, and what the denoiser's calls took: seconds of CPU or card."""
    device = next(models.denoiser.parameters()).device
    poses = np.random.default_rng(0).integers(
        0, 255, (frames, size.height, size.width, 3), np.uint8
    )
    picture = torch.zeros(1, 3, size.height, size.width, device=device)
    condition = ReferenceCondition(models, picture, size, guided=sampling.guidance != 1)
    pose = PoseFeatures(models.pose_guider, poses)
    noise = starting_noise(models.preset, frames, size, sampling)
    started = seconds(device)
    latents = denoise(models, condition, pose, noise, sampling)
    return latents, seconds(device) - started


def seconds(device: torch.device) -> float:
    """Return CPU seconds of this process; for a card, the time after its work has ended."""
    if device.type == "cpu":
        return time.process_time()
    torch.cuda.synchronize(device)
    return time.perf_counter()


def measure(
    models: RandomNetworks, size: Size, frames: int, steps: int, settings: Sequence[str]
) -> dict[str, dict[str, float]]:
    """Return the figures of each setting."""
    usual = replace(sampling_of(models.preset), steps=steps)
    results: dict[str, dict[str, float]] = {}
    exact, whole = None, 0.0
    for name in settings:
        sampling = replace(usual, **SETTINGS[name])
        latents, taken = latents_of(models, size, frames, sampling)
        if exact is None:
            exact, whole = latents, taken
        results[name] = {
            "full_steps": sum(full_steps(sampling.step_cache, steps)),
            "guided_steps": len(sampling.interval.steps(steps)),
            "seconds": taken,
            "times_as_fast": whole / taken,
            "relative_error": float((latents - exact).norm() / exact.norm()),
        }
        sys.stderr.write(f"{name}: {taken:.1f} s\n")
    return results


@torch.inference_mode()
def measure_calls(
    models: RandomNetworks, size: Size, frames: int, steps: int, repeats: int = 2
) -> dict[str, dict[str, float]]:
    """Return for each setting what its calls of the denoiser take together, by their kinds.

    A call has one row or two, and is full or not: four kinds, measured alternately, of which the
    fastest counts. It takes a tenth of the time of whole runs.
    """
    denoiser, device = models.denoiser, next(models.denoiser.parameters()).device
    inputs = {rows: inputs_of(denoiser, size, frames, rows) for rows in (1, 2)}
    deep: dict[int, Tensor] = {}
    taken: dict[tuple[int, bool], list[float]] = {}
    for _ in range(repeats):
        for count, full in ((2, True), (2, False), (1, True), (1, False)):
            started = seconds(device)
            _, kept = denoiser.predict(*inputs[count], deep=None if full else deep[count])
            taken.setdefault((count, full), []).append(seconds(device) - started)
            deep[count] = kept
    least = {kind: min(each) for kind, each in taken.items()}
    results: dict[str, dict[str, float]] = {}
    for name, changes in SETTINGS.items():
        sampling = replace(sampling_of(models.preset), steps=steps, **changes)
        if sampling.step_cache > steps:
            continue
        guided, full = sampling.interval.steps(steps), full_steps(sampling.step_cache, steps)
        # Entering the interval is full, because the unconditional row has no features yet; a new
        # group does not begin there.
        fresh = [each or step == guided.start for step, each in enumerate(full)]
        kinds = [(2 if step in guided else 1, each) for step, each in enumerate(fresh)]
        results[name] = {
            "full_steps": sum(fresh),
            "guided_steps": len(guided),
            "seconds": sum(least[kind] for kind in kinds),
        }
        exact = results["exact"]["seconds"]
        results[name]["times_as_fast"] = exact / results[name]["seconds"]
    return results


def table(results: dict[str, dict[str, float]]) -> str:
    """Return the figures as lines of text."""
    lines = [f"{'setting':<20}{'full':>6}{'guided':>8}{'seconds':>10}{'faster':>9}{'error':>10}"]
    for name, row in results.items():
        lines.append(
            f"{name:<20}{row['full_steps']:>6}{row['guided_steps']:>8}{row['seconds']:>10.2f}"
            f"{row['times_as_fast']:>8.2f}x"
            + (f"{row['relative_error']:>10.4f}" if "relative_error" in row else "")
        )
    return "\n".join(lines) + "\n"


def against(options: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Return the costs of a guidance pair of the public implementation and of ours."""
    check_checkout(options.against)
    python = make_environment(options.environment.resolve())
    rows, columns = options.size.height // 8, options.size.width // 8
    shape = (options.width, options.frames, rows, columns, options.device)
    theirs = [str(python), *PUBLIC_PAIR, str(options.against.resolve()), *map(str, shape)]
    size = f"{options.size.width}x{options.size.height}"
    ours = [sys.executable, "-m", "benchmarks.speed", "--answer", "--size", size]
    for name in ("width", "frames", "steps", "device"):
        ours += [f"--{name}", str(getattr(options, name))]
    return compare(theirs, ours, options.pairs, options.steps)


@torch.inference_mode()
def answer_lines(models: RandomNetworks, size: Size, frames: int, steps: int) -> None:
    """Answer each line of standard input with JSON.

    `pair` runs a guidance pair and answers with its cost; `runs` with the seconds of whole runs.
    """
    denoiser, device = models.denoiser, next(models.denoiser.parameters()).device
    inputs = inputs_of(denoiser, size, frames, rows=2)
    sys.stdout.write(json.dumps({"ready": torch.__version__}) + "\n")
    sys.stdout.flush()
    for line in sys.stdin:
        if line.strip() == "runs":
            runs = measure_calls(models, size, frames, steps)
            answer = {setting: row["seconds"] for setting, row in runs.items()}
        else:
            started = seconds(device)
            denoiser(*inputs)
            answer = {"seconds": seconds(device) - started, "peak_mb": peak_mb(str(device))}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def main(words: Sequence[str] | None = None) -> None:
    """Print the measurements."""
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("--width", type=int, default=64, help="channels of the first level; 320: public weights")
    add("--size", type=parse_size, default=Size(256, 256), metavar="WxH")
    add("--frames", type=int, default=4)
    add("--steps", type=int, default=20)
    add("--settings", nargs="+", choices=SETTINGS, default=list(SETTINGS), metavar="NAME")
    add("--device", default="cpu")
    add("--calls", action="store_true", help="measure single calls and add up their times")
    text = "a checkout of Moore-AnimateAnyone to compare a guidance pair with"
    add("--against", type=Path, metavar="PATH", help=text)
    text = "where the environment of --against is made (default: .venv-against)"
    add("--environment", type=Path, default=Path(".venv-against"), metavar="FOLDER", help=text)
    add("--pairs", type=int, default=3, help="alternating pairs of --against")
    add("--answer", action="store_true", help=argparse.SUPPRESS)  # see `answer_lines`
    add("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args(words)
    device = torch.device(options.device)
    if options.against is not None:
        sys.stdout.write(json.dumps(against(options), indent=2) + "\n")
        return
    dtype = torch.float32 if device.type == "cpu" else torch.float16
    models = random_networks(options.width, device, dtype)
    if options.answer:
        answer_lines(models, options.size, options.frames, options.steps)
        return
    settings = list(dict.fromkeys(["exact", *options.settings]))
    clip = (models, options.size, options.frames, options.steps)
    results = measure_calls(*clip) if options.calls else measure(*clip, settings)
    sys.stdout.write(json.dumps(results, indent=2) + "\n" if options.json else table(results))


if __name__ == "__main__":
    main()
