"""Options that several commands share, and functions that evaluate them."""

import argparse
import logging
import re
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..config import Preset
from ..diffusion.sampler_table import SAMPLERS, USUAL_SAMPLER
from ..errors import InputError
from ..shards import WHOLE, Shard, shard_of
from ..types import Size

if TYPE_CHECKING:
    import torch

    from ..animate import Sampling
    from ..diffusion.strength import Strength

log = logging.getLogger(__name__)


MOST_PIXELS = 16_384  # of a side, in H.264

Options = argparse._ActionsContainer  # a parser, or a group of its options


def add_sampling_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options for sampling a clip."""
    group = parser.add_argument_group("sampling")
    add_steps_and_guidance(group)
    add = group.add_argument
    text = "how much the pose counts; 0 leaves it out (default: 1)"
    add("--pose-strength", type=float, default=1.0, metavar="NUMBER", help=text)
    for name in ("pose", "reference"):
        text = f"the part of the run in which the {name} counts, in shares of its steps from 0 to "
        text += "1; outside of it it is left out (default: 0 1)"
        pair = {"nargs": 2, "default": (0.0, 1.0), "metavar": ("FROM", "UNTIL")}
        add(f"--{name}-interval", type=float, help=text, **pair)
    methods = "; ".join(f"{name}: {sampler.summary}" for name, sampler in SAMPLERS.items())
    text = f"{methods} (default: {USUAL_SAMPLER})"
    add("--sampler", choices=SAMPLERS, default=USUAL_SAMPLER, help=text)
    add("--seed", type=parse_seed, default=0, help="seed of the noise (default: 0)")
    text = "share of the noise that all frames have in common, 0..1 (default: 0)"
    add("--shared-noise", type=float, default=0.0, help=text)
    add(
        "--repeat-noise",
        action="store_true",
        help="start all windows from the same noise in shuffled order, so that windows far apart "
        "agree more on what does not move",
    )
    add = parser.add_argument_group("windows").add_argument
    text = "frames that are sampled together (default: the preset's)"
    add("--window", type=int, metavar="FRAMES", help=text)
    text = "frames that neighbouring windows share (default: 4, or less for a short window)"
    add("--overlap", type=int, metavar="FRAMES", help=text)
    text = "weights where windows overlap; pyramid: the middle of a window counts most; flat: all "
    text += "frames count the same (default: pyramid)"
    add("--fuse", choices=("pyramid", "flat"), default="pyramid", help=text)
    text = "make a clip that can be played in a loop: the first frame follows the last"
    add("--loop", action="store_true", help=text)
    add("--shift", action="store_true", help="move the seams between windows at every step")
    text = "windows sampled in one call; more are faster and need more memory (default: 1)"
    add("--windows-per-call", type=int, default=1, help=text)
    add_machine(parser.add_argument_group("machine"))


def add_steps_and_guidance(group: Options) -> None:
    """Add the number of sampling steps and the guidance scale."""
    add = group.add_argument
    add("--steps", type=int, help="sampling steps (default: the preset's: 20, or 1 for aa-mini)")
    text = "guidance scale; higher values follow the reference more closely, 1 is without guidance "
    text += "and twice as fast (default: the preset's)"
    add("--cfg", type=float, help=text)
    text = "guide only this part of the run, in shares of its steps: .25 .75 guides the middle "
    text += "half; the other steps take about half the time (default: 0 1, all steps)"
    add("--guidance-interval", type=float, nargs=2, metavar=("FROM", "UNTIL"), help=text)
    text = "compute only every so many steps in full, and between them only the outermost layer of "
    text += "the network on fresh inputs; 2 to 4 for 20 steps. The first 15 %% of the steps and "
    text += "the last are always full. Takes memory (see animate --dry-run) and changes the result "
    text += "a little (default: 1, all steps)"
    add("--step-cache", type=int, metavar="N", help=text)


def add_machine(group: Options) -> None:
    """Add the device and the number type of networks."""
    add_device(group)
    numbers = ("auto", "fp32", "bf16", "fp16")
    text = "number type of the networks (default: fp32 on CPUs, else fp16)"
    group.add_argument("--dtype", choices=numbers, default="auto", help=text)


def add_device(group: Options) -> None:
    """Add the device of networks."""
    text = "where networks run: cpu, cuda, mps, ... (default: the fastest available)"
    group.add_argument("--device", default="auto", help=text)


def sampling_from(options: argparse.Namespace, preset: Preset) -> "Sampling":
    """Return the sampling that the options describe; unset options take the preset's values."""
    from ..animate import sampling_of

    usual = sampling_of(preset)
    length = usual.windows.length if options.window is None else options.window
    overlap = options.overlap
    if overlap is None:
        overlap = max(0, min(usual.windows.overlap, length - 1))
    return replace(
        usual,
        **steps_and_guidance(options, usual),
        pose_strength=_strength("pose", options.pose_strength, options.pose_interval),
        reference_strength=_strength("reference", 1.0, options.reference_interval),
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


def _strength(of: str, value: float, interval: Sequence[float]) -> "Strength":
    from ..diffusion.strength import Strength

    return Strength(of=of, value=value, start=interval[0], end=interval[1])


def steps_and_guidance(options: argparse.Namespace, usual: "Sampling") -> dict[str, Any]:
    """Return the sampling fields that the options of `add_steps_and_guidance` change."""
    from ..animate import too_few_steps
    from ..diffusion.guidance import GuidanceInterval

    changes = {"steps": options.steps, "guidance": options.cfg, "step_cache": options.step_cache}
    changes = {name: value for name, value in changes.items() if value is not None}
    if options.guidance_interval is not None:
        start, end = options.guidance_interval
        changes["interval"] = GuidanceInterval(start=start, end=end)
        if changes.get("guidance", usual.guidance) == 1:
            log.warning("cfg is 1, which guides no step, so --guidance-interval changes nothing.")
    if why := too_few_steps(changes.get("steps", usual.steps), usual.steps):
        log.warning("%s", why)
    return changes


def machine_from(options: argparse.Namespace) -> "tuple[torch.device, torch.dtype]":
    """Return device and number type; `auto` chooses the fastest device of this machine."""
    import torch

    name = options.device
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
        if name == "cpu" and torch.backends.mps.is_available():
            name = "mps"
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).item()  # meta, for example, holds no values
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        first = str(error).splitlines()[0]
        raise InputError(
            f"device got {name!r}; it cannot be used here ({first}). Choose cpu or leave it out."
        ) from error
    kinds = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
    usual = torch.float32 if device.type == "cpu" else torch.float16
    return device, kinds.get(options.dtype, usual)


def parse_seed(text: str) -> int:
    """Read a seed; torch takes 64 bits."""
    try:
        seed = int(text)
    except ValueError:
        seed = None
    if seed is None or not -(2**63) <= seed < 2**64:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from -2^63 to 2^64 - 1")
    return seed


def parse_number(text: str) -> int:
    """Read a number from 0, as of a drawn character."""
    if not text.strip().isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of 0 or more")
    return int(text)


def parse_size(text: str) -> Size:
    """Read a size such as 512x768."""
    match = re.fullmatch(r"(\d+)[x*](\d+)", text.strip().lower())
    if match is None or not int(match[1]) or not int(match[2]):
        raise argparse.ArgumentTypeError(f"{text!r} is not WIDTHxHEIGHT in pixels, like 512x768")
    if max(len(match[1]), len(match[2])) > 5 or max(map(int, match.groups())) > MOST_PIXELS:
        raise argparse.ArgumentTypeError(
            f"{text!r} has a side of more than {MOST_PIXELS} pixels, the most that a video can have"
        )
    return Size(int(match[1]), int(match[2]))


def add_canvas(group: Options, name: str = "--canvas", of: str = "the keypoints") -> None:
    """Add the option for the canvas of keypoints whose file does not name it."""
    text = f"size of the picture that {of} belong to, in pixels; only for files that do not name it"
    group.add_argument(name, type=parse_size, metavar="WxH", help=text)


def add_shard(group: Options, what: str) -> None:
    """Add the option for one part of the work; `what` names the items, for the help text."""
    text = f"do only this part of the {what}: 1/4 is the first of four parts, which together are "
    text += "all. For batch systems; the parts may run at the same time (default: all)"
    group.add_argument("--shard", type=parse_shard, default=WHOLE, metavar="I/N", help=text)


def parse_shard(text: str) -> Shard:
    """Read a part of the work such as 1/4."""
    try:
        return shard_of(text)
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def parse_fps(text: str) -> Fraction:
    """Read frames per second such as 30, 29.97 or 30000/1001."""
    try:
        return Fraction(text)
    except (ValueError, ZeroDivisionError) as error:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a number of frames per second"
        ) from error


def add_out(group: Options, metavar: str, text: str, *before: str) -> None:
    """Add the required option `--out`; `before` are its former names, which still work."""
    # argparse requires exactly one option of such a group: --out, or one of its former names.
    either = group.add_mutually_exclusive_group(required=True)
    new = either.add_argument("--out", type=Path, metavar=metavar, help=text)
    for name in before:
        add_old_name(either, name, new)


def add_data(group: Options, text: str) -> None:
    """Add the option for a prepared data set; `text` is the end of its help text."""
    group.add_argument(
        "--data", type=Path, metavar="FOLDER", help=f"a data set made by `prepare`{text}"
    )


def add_encoders(group: Options, usual: str) -> None:
    """Add the options for frozen encoders; `usual` describes the default in the help text."""
    add = group.add_argument
    add("--vae", type=Path, metavar="FILE", help=f"weights of the autoencoder (default: {usual})")
    text = f"weights of a CLIP vision model with projection (default: {usual})"
    add("--image-encoder", type=Path, metavar="FILE", help=text)


def add_run_steps(group: Options, usual: str = "the recipe's") -> None:
    """Add the length of a training run."""
    group.add_argument("--steps", type=int, help=f"training steps (default: {usual})")


def add_threads(group: Options) -> None:
    """Add the number of threads."""
    group.add_argument("--threads", type=int, help="CPU threads of torch (default: torch's own)")


def add_old_name(group: Options, name: str, *new: argparse.Action) -> None:
    """Accept the former name of an option, or of several options that take one value each.

    The old name is not listed in the help; using it logs a warning with the new name.
    """
    group.add_argument(name, action=_OldName, new=new)


class _OldName(argparse.Action):
    def __init__(
        self, option_strings: Sequence[str], dest: str, new: tuple[argparse.Action, ...]
    ) -> None:
        super().__init__(
            option_strings,
            dest,
            nargs=new[0].nargs if len(new) == 1 else len(new),
            type=new[0].type,  # type: ignore[arg-type]  (it was given to one of them)
            choices=new[0].choices,
            default=argparse.SUPPRESS,
            help=argparse.SUPPRESS,
        )
        self._new = new

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,  # noqa: ANN401  (whatever the new option takes)
        option_string: str | None = None,
    ) -> None:
        """Set the new options."""
        names = " and ".join(action.option_strings[0] for action in self._new)
        log.warning("%s is now called %s; the old name still works.", option_string, names)
        each = [values] if len(self._new) == 1 else values
        for action, value in zip(self._new, each, strict=True):
            setattr(namespace, action.dest, value)


def set_threads(options: argparse.Namespace) -> None:
    """Set the number of torch's threads; OpenCV gets one, so that it does not compete."""
    import cv2
    import torch

    logging.getLogger("accelerate").setLevel(logging.WARNING)
    cv2.setNumThreads(1)
    if options.threads:
        torch.set_num_threads(options.threads)


def sentence(text: str) -> str:
    """Return the help text of a command as its description."""
    return f"{text[0].upper()}{text[1:]}."


def log_sizes(sizes: dict[str, int]) -> None:
    """Log the files that were written, with their sizes (given in bytes) in MB."""
    for name, size in sizes.items():
        log.info("%-28s %6.2f MB", name, size / 1e6)
    log.info("%-28s %6.2f MB", "together", sum(sizes.values()) / 1e6)
