"""Arguments that several commands share, and what they mean."""

import argparse
import logging
import re
from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING

from ..config import Preset
from ..diffusion.sampler_table import SAMPLERS, USUAL_SAMPLER
from ..errors import InputError
from ..types import Size

if TYPE_CHECKING:
    import torch

    from ..animate import Sampling

log = logging.getLogger(__name__)


def add_sampling_arguments(parser: argparse.ArgumentParser) -> None:
    """Add everything that decides how a clip is sampled."""
    add = parser.add_argument_group("sampling").add_argument
    add("--steps", type=int, help="sampling steps (the preset's, mostly 20)")
    add("--cfg", type=float, help="guidance, 1 is none and twice as fast (the preset's)")
    told = "; ".join(f"{name}: {sampler.told}" for name, sampler in SAMPLERS.items())
    add("--sampler", choices=SAMPLERS, default=USUAL_SAMPLER, help=f"{told} ({USUAL_SAMPLER})")
    add("--seed", type=int, default=0, help="of the noise (0)")
    add("--shared-noise", type=float, default=0.0, help="0..1, what frames have in common (0)")
    add(
        "--repeat-noise",
        action="store_true",
        help="start all windows from the same noise, each time in another order, so that windows "
        "far apart agree more on what does not move",
    )
    add = parser.add_argument_group("windows").add_argument
    add("--window", type=int, metavar="FRAMES", help="frames sampled together (the preset's)")
    add("--overlap", type=int, metavar="FRAMES", help="frames that windows share (4)")
    add("--fuse", choices=("pyramid", "flat"), default="pyramid", help="how they are averaged")
    add("--loop", action="store_true", help="the last frame is followed by the first")
    add("--shift", action="store_true", help="move the seams from step to step")
    add("--windows-per-call", type=int, default=1, help="more are faster and need more memory (1)")
    add = parser.add_argument_group("machine").add_argument
    add("--device", default="auto", help="cpu, cuda, mps, ... (the fastest there is)")
    add("--dtype", choices=("auto", "fp32", "bf16", "fp16"), default="auto", help="(fp32 on CPUs)")


def sampling_from(options: argparse.Namespace, preset: Preset) -> "Sampling":
    """Return the sampling that the options describe; what they leave open is the preset's."""
    from ..animate import sampling_of

    usual = sampling_of(preset)
    length = usual.windows.length if options.window is None else options.window
    overlap = options.overlap
    if overlap is None:
        overlap = max(0, min(usual.windows.overlap, length - 1))
    return replace(
        usual,
        steps=usual.steps if options.steps is None else options.steps,
        guidance=usual.guidance if options.cfg is None else options.cfg,
        sampler=options.sampler,
        seed=options.seed,
        windows=replace(
            usual.windows,
            length=length,
            overlap=overlap,
            fuse=options.fuse,
            loop=options.loop,
            shift=options.shift,
        ),
        windows_per_call=options.windows_per_call,
        shared_noise=options.shared_noise,
        repeat_noise=options.repeat_noise,
    )


def machine_from(options: argparse.Namespace) -> "tuple[torch.device, torch.dtype]":
    """Return device and number type; `auto` is the best that this machine has."""
    import torch

    name = options.device
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
        if name == "cpu" and torch.backends.mps.is_available():
            name = "mps"
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        first = str(error).splitlines()[0]
        raise InputError(
            f"device got {name!r}; it cannot be used here ({first}). Choose cpu or leave it out."
        ) from error
    kinds = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
    usual = torch.float32 if device.type == "cpu" else torch.float16
    return device, kinds.get(options.dtype, usual)


def parse_size(text: str) -> Size:
    """Read a size such as 512x768."""
    match = re.fullmatch(r"(\d+)[x*](\d+)", text.strip().lower())
    if match is None or not int(match[1]) or not int(match[2]):
        raise argparse.ArgumentTypeError(f"{text!r} is not WIDTHxHEIGHT in pixels, like 512x768")
    return Size(int(match[1]), int(match[2]))


def parse_fps(text: str) -> Fraction:
    """Read frames per second such as 30, 29.97 or 30000/1001."""
    try:
        return Fraction(text)
    except (ValueError, ZeroDivisionError) as error:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a number of frames per second"
        ) from error


def add_threads(parser: argparse.ArgumentParser) -> None:
    """Add the number of threads."""
    parser.add_argument("--threads", type=int, help="of torch (its own)")


def set_threads(options: argparse.Namespace) -> None:
    """Compute with as many threads as the options say; OpenCV with one, torch uses the others."""
    import cv2
    import torch

    logging.getLogger("accelerate").setLevel(logging.WARNING)
    cv2.setNumThreads(1)
    if options.threads:
        torch.set_num_threads(options.threads)


def tell_sizes(sizes: dict[str, int]) -> None:
    """Log the files that were written, with their sizes."""
    for name, size in sizes.items():
        log.info("%-28s %6.2f MB", name, size / 1e6)
    log.info("%-28s %6.2f MB", "together", sum(sizes.values()) / 1e6)
