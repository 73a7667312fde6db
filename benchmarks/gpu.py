"""Everything that a graphics card has to say about this project, in one JSON and ten minutes.

    python -m benchmarks.gpu [--out gpu.json] [--minutes 10]

It needs a card and this checkout, no weights and no data. Measured with random weights of the
public layout at 512x768: a step of 24 frames in bf16, fp16 and fp8, eager and compiled block by
block, beside the time that a card of the measured matrix speed needs at least; whole clips of 24
and 72 frames with 20 steps, exact, with guidance interval, with step cache and with both; peak
memory beside our estimates, and the `memory_usage_factor` that follows from it; encoding and
decoding with Stable Diffusion's autoencoder; a training step of both stages of the recipe `24gb`.
What does not fit into time or memory is left out, and the JSON says why. `--toy` runs the same on
any machine with tiny networks, for the tests.
"""

import argparse
import gc
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from animate_anyone.animate import sampling_of
from animate_anyone.diffusion.windows import plan_windows
from animate_anyone.estimate import estimate_memory
from animate_anyone.networks.call_memory import places_of, working_bytes
from animate_anyone.networks.layers import Operations
from animate_anyone.networks.levels import Level
from animate_anyone.networks.unet import UNet
from animate_anyone.training.recipes import get_recipe
from animate_anyone.types import Size
from animate_anyone.weights.sets.table import get_preset

from .denoise import BOUNDS
from .speed import SETTINGS, RandomNetworks, inputs_of, latents_of, random_networks, seconds
from .training_memory import Step, count

MIB = 2**20
HOST_FACTOR = 0.01 * MIB  # bytes per latent place, row and byte of a value, with flash attention
CLIP_SETTINGS = ("exact", "last half", "cache 3", "last half, cache 4")


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is measured."""

    device: torch.device
    width: int = 320  # channels of the first level
    size: Size = field(default_factory=lambda: Size(512, 768))
    clips: tuple[int, ...] = (24, 72)  # frames
    steps: int = 20
    dtypes: tuple[str, ...] = ("bf16", "fp16", "fp8")
    backend: str = "inductor"  # of torch.compile
    repeats: int = 5
    preset: str | None = None  # of the training step; None: the recipe's
    matrix: int = 8192  # rows and columns of the matrix product


TOY = {
    "width": 32,
    "size": Size(32, 48),
    "clips": (2, 30),
    "steps": 4,
    "backend": "eager",
    "repeats": 1,
    "preset": "aa-mini",
    "matrix": 64,
}


class Fp8Linear(nn.Linear):
    """A linear layer whose weights are stored in fp8 and computed with in the input's dtype."""

    def forward(self, input: Tensor) -> Tensor:
        bias = None if self.bias is None else self.bias.to(input)
        return functional.linear(input, self.weight.to(input), bias)


class Fp8Conv(nn.Conv2d):
    """A convolution whose weights are stored in fp8 and computed with in the input's dtype."""

    def forward(self, input: Tensor) -> Tensor:
        bias = None if self.bias is None else self.bias.to(input)
        return self._conv_forward(input, self.weight.to(input), bias)


FP8 = cast(
    Operations,
    SimpleNamespace(
        Linear=Fp8Linear, Conv2d=Fp8Conv, GroupNorm=nn.GroupNorm, LayerNorm=nn.LayerNorm
    ),
)


class Measurements:
    """Figures by name; a section that fails or comes too late leaves the reason."""

    def __init__(self, device: torch.device, minutes: float) -> None:
        self.device, self.end = device, time.monotonic() + 60 * minutes
        self.results: dict[str, Any] = {}

    def take(self, name: str, work: Callable[[], dict[str, Any]]) -> None:
        """Run a section and store its figures, with the peak memory of the card."""
        sys.stderr.write(f"{name} ...\n")
        if time.monotonic() > self.end:
            self.results[name] = {"left_out": "the time was used up; see --minutes"}
            return
        gc.collect()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(self.device)
        found: dict[str, Any]
        try:
            found = work()
        except (torch.OutOfMemoryError, RuntimeError, ImportError) as error:
            found = {"left_out": f"{type(error).__name__}: {str(error).splitlines()[0]}"}
        if self.device.type == "cuda":
            found["peak_mb"] = torch.cuda.max_memory_allocated(self.device) / MIB
        self.results[name] = found


def compile_blocks(
    denoiser: UNet,
    backend: str = "inductor",
) -> None:
    """Compile each residual block, transformer and motion module alone, in place.

    Blocks compile faster than a whole network, and full and cached steps share them.
    """
    # torch counts the variants of all blocks of a class together, and gives up after eight.
    torch._dynamo.config.cache_size_limit = 1024
    for part in (*denoiser.down_blocks, denoiser.mid_block, *denoiser.up_blocks):
        level = cast(Level, part)
        for block in (*level.resnets, *level.attentions, *level.motion_modules):
            block.compile(backend=backend, dynamic=False)


def milliseconds(work: Callable[[], Any], device: torch.device, repeats: int) -> float:
    """Return what one call takes, after two that warm up."""
    for _ in range(min(2, repeats)):
        work()
    started = seconds(device)
    for _ in range(repeats):
        work()
    return (seconds(device) - started) / repeats * 1e3


def machine(plan: Plan) -> dict[str, Any]:
    """Return what the machine is, and the speed of its matrix products in bfloat16."""
    a, b = torch.randn(2, plan.matrix, plan.matrix, device=plan.device, dtype=torch.bfloat16)
    taken = milliseconds(lambda: torch.mm(a, b), plan.device, plan.repeats) / 1e3
    found = {"torch": torch.__version__, "tflops": 2 * plan.matrix**3 / taken / 1e12}
    if plan.device.type == "cuda":
        about = torch.cuda.get_device_properties(plan.device)
        found |= {"card": about.name, "memory_mb": about.total_memory / MIB}
    return found


def one_step(
    plan: Plan,
    kind: str,  # of the weights: bf16, fp16 or fp8
    tflops: float,  # per second, of the card's matrix products
    *,
    compiled: bool = False,
) -> dict[str, float]:
    """Return the times of the four kinds of call, and the memory of the largest."""
    dtype = torch.float16 if kind == "fp16" else torch.bfloat16
    models = networks_in(plan, kind, dtype)
    denoiser, frames = models.denoiser, plan.clips[0]
    if compiled:
        compile_blocks(denoiser, plan.backend)
    result: dict[str, float] = {}
    kinds = (("pair", 2), ("conditional", 1))
    for name, count_ in kinds[:1] if compiled else kinds:  # each shape is compiled anew
        inputs = inputs_of(denoiser, plan.size, frames, count_)
        before = memory_in_use(plan.device)
        result[f"{name}_ms"] = milliseconds(partial(denoiser, *inputs), plan.device, plan.repeats)
        if name == "pair" and plan.device.type == "cuda":
            working = torch.cuda.max_memory_allocated(plan.device) - before
            area = 2 * frames * places_of(plan.size) * dtype.itemsize
            result["working_mb"] = working / MIB
            result["memory_usage_factor"] = working / (area * HOST_FACTOR)
        _, deep = denoiser.predict(*inputs)
        cached = partial(denoiser.predict, *inputs, deep=deep)
        result[f"{name}_cached_ms"] = milliseconds(cached, plan.device, plan.repeats)
    call = {"frames": frames, "size": plan.size, "rows": 2, "value_bytes": dtype.itemsize}
    result["estimated_working_mb"] = working_bytes(denoiser.config, **call) / MIB
    bound = BOUNDS.get((frames, plan.size.height // 8, plan.size.width // 8))
    if bound is not None:
        result["floor_ms"] = bound / tflops * 1e3
    return result


def networks_in(plan: Plan, kind: str, dtype: torch.dtype) -> RandomNetworks:
    """Return random networks; for fp8 the convolutions and linear layers store it."""
    models = random_networks(plan.width, plan.device, dtype)
    if kind == "fp8":
        whole = models.denoiser
        models.denoiser = UNet(whole.config, operations=FP8, dtype=dtype, device=plan.device)
        models.denoiser.load_state_dict(whole.state_dict())
        models.denoiser.eval().requires_grad_(False)
        for module in models.denoiser.modules():
            if isinstance(module, Fp8Linear | Fp8Conv):
                module.weight.data = module.weight.data.to(torch.float8_e4m3fn)
    return models


def memory_in_use(device: torch.device) -> int:
    """Return the bytes that tensors on a card have now."""
    return torch.cuda.memory_allocated(device) if device.type == "cuda" else 0


def clip(plan: Plan, models: RandomNetworks, frames: int, setting: str) -> dict[str, float]:
    """Return what a whole sampling run takes, and the memory that we estimate for it."""
    usual = replace(sampling_of(models.preset), steps=plan.steps)
    sampling = replace(usual, **SETTINGS[setting])
    _, taken = latents_of(models, plan.size, frames, sampling)
    windows = plan_windows(frames, sampling.windows)
    need = estimate_memory(
        models.preset,
        frames=frames,
        size=plan.size,
        window_frames=len(windows[0]),
        rows=2,
        value_bytes=next(models.denoiser.parameters()).itemsize,
        cached_frames=0 if sampling.step_cache == 1 else sum(map(len, windows)),
    )
    return {
        "seconds": taken,
        "seconds_per_frame": taken / frames,
        "estimated_mb": need.total / MIB,
    }


def clips(plan: Plan, done: Measurements) -> None:
    """Take whole runs of all lengths and settings, with one set of networks."""
    models = random_networks(plan.width, plan.device, torch.bfloat16)
    for frames in plan.clips:
        for setting in CLIP_SETTINGS:
            done.take(f"clip {frames} {setting}", partial(clip, plan, models, frames, setting))


def autoencoder(plan: Plan) -> dict[str, float]:
    """Return milliseconds per frame of Stable Diffusion's autoencoder, in fp16 on a card."""
    from diffusers import AutoencoderKL

    toy = plan.width < 320
    widths = (8, 8) if toy else (128, 256, 512, 512)
    layout: Any = {
        "block_out_channels": widths,
        "down_block_types": ("DownEncoderBlock2D",) * len(widths),
        "up_block_types": ("UpDecoderBlock2D",) * len(widths),
        "layers_per_block": 1 if toy else 2,
        "norm_num_groups": 8 if toy else 32,
    }
    network: Any = AutoencoderKL(latent_channels=4, **layout)
    dtype = torch.float16 if plan.device.type == "cuda" else torch.float32
    network = network.to(dtype=dtype).to(plan.device).eval().requires_grad_(False)
    frames = torch.rand(8, 3, plan.size.height, plan.size.width, device=plan.device, dtype=dtype)
    latents = network.encode(frames[:1]).latent_dist.mode().repeat(len(frames), 1, 1, 1)
    encode = milliseconds(lambda: network.encode(frames[:1]), plan.device, plan.repeats)
    decode = milliseconds(lambda: network.decode(latents), plan.device, plan.repeats)
    return {"encode_ms_per_frame": encode, "decode_ms_per_frame": decode / len(frames)}


def training_step(plan: Plan, stage: int) -> dict[str, float]:
    """Return what forward and backward of one example take, and the memory that we count."""
    config = get_recipe("24gb", stage)
    preset = get_preset(plan.preset or config.preset)
    parts = {"examples": 1, "accumulate": 1}
    frames = config.frames if plan.preset is None else min(config.frames, 3)
    config = replace(config, preset=preset.name, frames=frames, **parts)
    size = Size(512, 512) if plan.preset is None else plan.size
    step = Step(preset, config, size)
    for name in ("target", "noisy", "timesteps", "poses", "reference", "picture"):
        setattr(step, name, getattr(step, name).to(plan.device))
    step.networks.to(plan.device)

    def run() -> None:
        with torch.autocast(plan.device.type, torch.bfloat16):
            output = step.forward()
        step.loss(output).backward()

    taken = milliseconds(run, plan.device, plan.repeats)
    found = {"example_ms": taken, "frames": frames}
    if plan.device.type == "cuda":
        found["counted_peak_mb"] = count(preset, config, size).total / MIB
    return found


def measure(plan: Plan, minutes: float) -> dict[str, Any]:
    """Return all measurements by name."""
    done = Measurements(plan.device, minutes)
    with torch.inference_mode():
        done.take("machine", lambda: machine(plan))
        tflops = done.results["machine"].get("tflops", 1.0)
        for kind in plan.dtypes:
            done.take(f"step {kind} eager", partial(one_step, plan, kind, tflops))
        clips(plan, done)
        done.take("autoencoder", lambda: autoencoder(plan))
    for stage in (1, 2):
        done.take(f"training stage {stage}", partial(training_step, plan, stage))
    with torch.inference_mode():  # last, because compiling takes longest
        for kind in plan.dtypes:
            run = partial(one_step, plan, kind, tflops, compiled=True)
            done.take(f"step {kind} compiled", run)
    return done.results


def main(words: Sequence[str] | None = None) -> None:
    """Measure and write the JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("gpu.json"))
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--toy", action="store_true", help="tiny networks on the CPU")
    options = parser.parse_args(words)
    if not options.toy and not torch.cuda.is_available():
        parser.error("no CUDA device was found; --toy shows the measurements on the CPU.")
    plan = Plan(device=torch.device("cuda"))
    if options.toy:
        plan = Plan(device=torch.device("cpu"), **TOY)
    results = measure(plan, options.minutes)
    options.out.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    sys.stderr.write(f"{options.out}: {len(results)} measurements\n")


if __name__ == "__main__":
    main()
