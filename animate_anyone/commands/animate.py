"""`python -m animate_anyone animate`: make a video from one picture and one motion."""

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..config import Preset
from ..errors import InputError
from ..pose.retarget.modes import USUAL_MODE
from ..types import Size
from ..weights.sets.table import get_preset, presets
from .following import Follower, add_follow_arguments, add_retarget_arguments, progress_bar
from .going_on import add_going_on_arguments
from .jobs.options import add_jobs_arguments, require_without_jobs
from .keeping import add_keeping_arguments
from .options import (
    add_canvas,
    add_sampling_arguments,
    machine_from,
    parse_fps,
    parse_size,
    set_threads,
)
from .persons import add_persons_arguments

if TYPE_CHECKING:
    import torch

    from ..animate import Sampling
    from ..animate.continuing import Piece
    from ..weights.load import Models
    from .driving import Driving
    from .making import Clip

logger = logging.getLogger(__name__)


def add_parser(subparsers: "argparse._SubParsersAction") -> None:
    """Add the command to the command line."""
    parser = subparsers.add_parser(
        "animate",
        help="animate the character of a picture with a motion; writes a video",
        description="Animate the character of a picture with a motion; writes a video.",
    )
    add = parser.add_argument
    add(
        "--reference",
        type=Path,
        nargs="+",
        metavar="PICTURE",
        help="picture of the character, or up to 8 of them, such as front and back; the first one "
        "sets proportions and should show the face",
    )
    add(
        "--reference-strength",
        type=float,
        nargs="+",
        metavar="NUMBER",
        help="how much each picture counts beside the others: 2 like the picture twice, 0 leaves "
        "it out (default: 1 for each)",
    )
    add(
        "--poses",
        type=Path,
        metavar="FILE",
        help="the motion: keypoints (JSON, or a folder with a file per frame), or a video or a "
        "folder of pictures that show a person or drawn skeletons",
    )
    add_canvas(parser)
    add(
        "--driving",
        choices=("auto", "skeleton", "video"),
        default="auto",
        help="what the pictures of --poses show: drawn skeletons or a person (default: auto, "
        "decided from a few frames)",
    )
    text = "the video to write; with --jobs the folder of the videos"
    add("--out", type=Path, required=True, metavar="CLIP.mp4", help=text)
    add(
        "--models",
        type=_weights,
        nargs="+",
        metavar="PATH",
        help="a bundle, a folder, the files of a weight set, or aa-mini (default: aa-mini)",
    )
    text = "a LoRA for Stable Diffusion 1.5 or from `train export`, and its strength (default: 1); "
    text += "several are added"
    add("--lora", nargs="+", default=[], metavar="FILE[:STRENGTH]", help=text)
    text = "the weight set that the files belong to, if their tensor shapes fit several"
    add("--preset", choices=presets(), help=text)
    text = "size of the video in pixels (default: the motion's shape at the preset's short side)"
    add("--size", type=parse_size, metavar="WxH", help=text)
    text = "frames per second of the video (default: the motion's, also where a keypoint file "
    text += "names it; else 30). A video keeps its duration, keypoints keep their frames"
    add("--fps", type=parse_fps, help=text)
    add("--frames", type=int, help="write at most this many frames")
    text = "do not copy the sound of the motion's video"
    add("--no-audio", action="store_true", help=text)
    text = "makes the result transparent where this video, folder of pictures or picture is black, "
    text += "and keeps it where it is white; for --out with .webm (VP9) or .mov (ProRes 4444)"
    add("--foreground-mask", type=Path, metavar="MASK", help=text)
    text = "also write a contact sheet: one picture with some frames of the result"
    add("--sheet", type=Path, metavar="PICTURE", help=text)
    text = "only print size, number of windows and estimated memory; compute nothing"
    add("--dry-run", action="store_true", help=text)
    add_going_on_arguments(parser)
    add_keeping_arguments(parser)
    add_persons_arguments(parser)
    add_retarget_arguments(parser, f"{USUAL_MODE} for a video of a person, else none")
    add_follow_arguments(parser)
    add_sampling_arguments(parser)
    add_jobs_arguments(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run the command; return the exit code."""
    from ..weights.load import load_models
    from ..weights.lora import add_lora, parse_lora
    from .making import Clip

    if options.jobs is not None:
        from .jobs.command import run_list

        return run_list(options)
    require_without_jobs(options)
    if options.threads:
        set_threads(options)
    device, dtype = machine_from(options)
    loras = [parse_lora(text) for text in options.lora]
    clip = Clip(options, preset_of(options), Follower(options))
    if options.dry_run:
        seen = sum(value > 0 for value in clip.strengths)
        more = (dtype.itemsize, clip.way.pieces, seen, options.per_person)
        plan = describe(clip.preset, clip.driving, clip.size, clip.sampling, *more)
        plan += _row("motion", f"{clip.driving.kind}, retargeting {clip.fit.mode}")
        sys.stdout.write(plan + _refusal(clip, device))
        return 0

    def load() -> "Models":
        with progress_bar("loading", "tensor") as progress:
            more = {"preset": options.preset, "dtype": dtype, "device": device}
            models = load_models(source_of(options), **more, progress=progress)
        for path, strength in loras:
            add_lora(models.denoiser, path, strength)
        return models

    clip.write(options.out, load, device)
    return 0


def _weights(text: str) -> Path:
    """Return where weights lie; aa-mini is the folder of the shipped ones, if there is no other."""
    from ..weights.sources import MINI_FOLDER

    return MINI_FOLDER if text == "aa-mini" and not Path(text).exists() else Path(text)


def describe(
    preset: Preset,
    driving: "Driving",
    size: Size,
    sampling: "Sampling",
    value_bytes: int,  # of a number in the networks
    pieces: "Sequence[Piece]",
    references: int = 1,  # pictures of the character
    per_person: bool = False,  # each of them shows another person of the motion
) -> str:
    """Return a summary of a run as lines of text: weights, size, windows, estimated memory."""
    from ..diffusion.windows import plan_windows
    from ..estimate import estimate_memory

    frames, windows = len(driving.frames), sampling.windows
    at_once = pieces[0].frames
    rows = 1 if sampling.guidance == 1 else 2
    counts = [len(plan_windows(at_once, windows, step)) for step in range(sampling.steps)]
    per_call = sampling.windows_per_call
    calls = len(pieces) * sum(-(-count // per_call) for count in counts)
    length = min(windows.length, at_once)
    need = estimate_memory(
        preset,
        frames=at_once,
        size=size,
        window_frames=length * min(per_call, max(counts)),
        rows=rows,
        value_bytes=value_bytes,
        cached_frames=0 if sampling.step_cache == 1 else length * max(counts),
        references=references,
        per_person=per_person,
    )
    seconds = frames / driving.fps
    lines = {
        "weights": f"{preset.title}; {preset.licence}",
        "size": f"{size.width}x{size.height} (motion {driving.size.width}x{driving.size.height})",
        "references": f"{references}, "
        + (
            "each of another person; attention runs once more for each of them"
            if per_person
            else "of which attention sees all at every step"
        ),
        "frames": f"{frames} at {float(driving.fps):g} fps, {float(seconds):.2f} s"
        + (", with sound" if driving.has_audio else ""),
        "speed": driving.speed,
        **_in_pieces(pieces),
        "windows": f"{max(counts)} of {length} frames per step, overlap {windows.overlap}",
        "steps": f"{sampling.steps} of {sampling.sampler}, {_guidance(sampling)}" + _full(sampling),
        "UNet calls": f"{calls} of {rows * length * min(per_call, max(counts))} frame rows",
        "memory": f"{need.total / 2**20:.0f} MB estimated: weights {need.weights / 2**20:.0f}, "
        f"clip {need.clip / 2**20:.0f}, denoiser at work {need.working / 2**20:.0f}"
        + (f", step cache {need.cache / 2**20:.0f}" if need.cache else "")
        + "; VAE and image encoder not counted",
    }
    return "".join(_row(name, text) for name, text in lines.items())


def _refusal(clip: "Clip", device: "torch.device") -> str:
    """Return why a clip will be refused for want of memory; nothing if it will not."""
    try:
        clip.require_room(device)
    except InputError as error:
        return _row("refused", str(error))
    return ""


def _in_pieces(pieces: "Sequence[Piece]") -> dict[str, str]:
    """Return the pieces of a clip in words; nothing for a clip in one piece."""
    if len(pieces) == 1:
        return {}
    most, held = pieces[0].frames, pieces[1].held
    return {"pieces": f"{len(pieces)} of up to {most} frames, {held} of them held"}


def _guidance(sampling: "Sampling") -> str:
    """Return the guidance of a run in words."""
    text = f"cfg {sampling.guidance:g}"
    if sampling.guidance == 1 or sampling.interval.whole:
        return text
    guided = sampling.interval.steps(sampling.steps)
    return f"{text} in steps {guided.start + 1} to {guided.stop}"


def _full(sampling: "Sampling") -> str:
    """Return the number of full steps in words; nothing without a step cache."""
    from ..diffusion.step_cache import full_steps

    if sampling.step_cache == 1:
        return ""
    return f", {sum(full_steps(sampling.step_cache, sampling.steps))} of them in full"


def _row(name: str, text: str) -> str:
    return f"{name:<12}{text}\n"


def source_of(options: argparse.Namespace) -> list[Path] | str:
    """Return where the weights come from."""
    return options.models or options.preset or "aa-mini"


def preset_of(options: argparse.Namespace) -> Preset:
    """Return the weights' preset without loading them; a dry run needs no files."""
    from ..weights.load import resolve_preset
    from ..weights.sources import open_parts

    if options.dry_run and not options.models:
        return get_preset(options.preset or "aa-mini")
    return resolve_preset(open_parts(source_of(options)), options.preset)
