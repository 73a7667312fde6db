"""`python -m animate_anyone animate`: make a video from one picture and one motion."""

import argparse
import logging
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..config import Preset
from ..pose.retarget.modes import USUAL_MODE
from ..types import Size
from ..weights.sets.table import get_preset, presets
from .following import (
    Follower,
    add_follow_arguments,
    add_retarget_arguments,
    progress_bar,
    retarget_config,
)
from .going_on import add_going_on_arguments, frames_limit, going_on
from .keeping import Keeping, add_keeping_arguments
from .options import (
    add_canvas,
    add_sampling_arguments,
    machine_from,
    parse_fps,
    parse_size,
    sampling_from,
)
from .persons import add_persons_arguments, check_persons, with_regions

if TYPE_CHECKING:
    import numpy as np

    from ..animate import Sampling
    from ..animate.continuing import Piece
    from ..pose.retarget.retarget import RetargetConfig
    from .driving import Driving

logger = logging.getLogger(__name__)

SHEET_FRAMES = 8
# Keypoints and drawn skeletons may already be fitted to the reference.
_USUAL_MODES = {"keypoints": "none", "skeleton": "none", "video": USUAL_MODE}


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
        required=True,
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
        required=True,
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
    add("--out", type=Path, required=True, metavar="CLIP.mp4", help="the video to write")
    add(
        "--models",
        type=Path,
        nargs="+",
        metavar="PATH",
        help="a bundle, a folder, or the files of a weight set (default: the embedded aa-mini)",
    )
    text = "a LoRA for Stable Diffusion 1.5 or from `train export`, and its strength (default: 1); "
    text += "several are added"
    add("--lora", nargs="+", default=[], metavar="FILE[:STRENGTH]", help=text)
    text = "the weight set that the files belong to, if their tensor shapes fit several"
    add("--preset", choices=presets(), help=text)
    text = "size of the video in pixels (default: the motion's shape at the preset's short side)"
    add("--size", type=parse_size, metavar="WxH", help=text)
    text = "frames per second of the video (default: the motion's; 30 for keypoints and folders)"
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
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run the command; return the exit code."""
    from ..animate import check_plan, check_strengths
    from ..animate.continuing import animate_in_pieces
    from ..media import (
        ForegroundMask,
        VideoWriter,
        check_picture_place,
        picture_size,
        read_picture,
        to_bytes,
        with_alpha,
    )
    from ..weights.load import load_models
    from ..weights.lora import add_lora, parse_lora
    from .driving import open_driving

    device, dtype = machine_from(options)
    loras = [parse_lora(text) for text in options.lora]
    preset = _preset(options)
    driving = open_driving(
        options.poses, options.fps, frames_limit(options), options.driving, options.canvas
    )
    check_persons(options, driving)
    as_it_is = options.keep_background == "driving" or options.per_person
    usual = "none" if as_it_is else _USUAL_MODES[driving.kind]
    fit = retarget_config(options, options.retarget or usual)
    follower = Follower(options)
    canvas = picture_size(options.reference[0]) if fit.compares else driving.size
    size = _size(options.size, canvas, preset)
    sampling = sampling_from(options, preset)
    check_plan(preset, len(driving.frames), size, sampling)
    way = going_on(options, driving, size, sampling)
    driving = replace(way.driving, dimmed=preset.dimmed_poses)
    keeping = Keeping(options, fit.mode, driving, size)
    strengths = options.reference_strength or [1.0] * len(options.reference)
    check_strengths(strengths, len(options.reference), "reference-strength")
    longest = 4 * max(size.width, size.height)
    references = [read_picture(path, longest=longest) for path in options.reference]
    if options.dry_run:
        seen = sum(value > 0 for value in strengths)
        plan = describe(preset, driving, size, sampling, dtype.itemsize, way.pieces, seen)
        sys.stdout.write(plan + _row("motion", f"{driving.kind}, retargeting {fit.mode}"))
        return 0

    if options.sheet:
        check_picture_place(options.sheet)
    sheet = _Sheet(way.shown)
    cut = options.foreground_mask
    mask = ForegroundMask(cut, way.shown, size) if cut else None
    audio = options.poses if driving.has_audio and not options.no_audio else None
    # The place is checked first, so that a fault there comes before the long computation.
    more = {"audio_from": audio, "audio_start": way.sound_start, "expected": way.shown}
    clear = mask is not None or keeping.transparent
    with VideoWriter(options.out, size, driving.fps, **more, alpha=clear) as writer:
        character = to_bytes(references[0])[0]
        driving = _ready_to_draw(driving, fit, follower, character)
        plate = keeping.plate(driving, size, character, follower)
        references = keeping.on_plate(references, plate, follower)
        inputs = keeping.inputs(driving, size, character, follower, plate)
        inputs = with_regions(options, inputs, driving, size)
        with progress_bar("loading", "tensor") as progress:
            more = {"preset": options.preset, "dtype": dtype, "device": device}
            models = load_models(_source(options), **more, progress=progress)
        for path, strength in loras:
            add_lora(models.denoiser, path, strength)
        pictures = [picture.to(device) for picture in references]
        with progress_bar("sampling") as progress:
            for part in animate_in_pieces(
                models,
                pictures,
                inputs,
                way.pieces,
                sampling,
                strengths=strengths,
                beginning=way.beginning(models, pictures[0], size),
                progress=progress,
                let_go=models.let_go,
            ):
                frames = part.frames
                if mask is not None:
                    frames = mask.on(frames)
                elif part.masks is not None and keeping.transparent:
                    frames = with_alpha(frames, part.masks)
                writer.write(frames)
                sheet.add(part.frames, part.poses)
    keeping.report()
    logger.info("%s: %d frames of %dx%d", options.out, writer.frames, size.width, size.height)
    if options.sheet:
        sheet.write(options.sheet, [to_bytes(picture)[0] for picture in references])
    return 0


def _ready_to_draw(
    driving: "Driving", fit: "RetargetConfig", follower: Follower, reference: "np.ndarray"
) -> "Driving":
    """Return the motion ready to be drawn; drawn skeletons stay pictures without retargeting."""
    from .driving import fit_to_reference, read_skeletons

    if driving.kind != "video" and not fit.compares:
        return driving
    driving = read_skeletons(driving, follower)
    if not fit.compares:
        return driving
    return fit_to_reference(driving, reference, follower, fit)


def describe(
    preset: Preset,
    driving: "Driving",
    size: Size,
    sampling: "Sampling",
    value_bytes: int,  # of a number in the networks
    pieces: "Sequence[Piece]",
    references: int = 1,  # pictures of the character
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
    )
    seconds = frames / driving.fps
    lines = {
        "weights": f"{preset.title}; {preset.licence}",
        "size": f"{size.width}x{size.height} (motion {driving.size.width}x{driving.size.height})",
        "references": f"{references}, of which attention sees all at every step",
        "frames": f"{frames} at {float(driving.fps):g} fps, {float(seconds):.2f} s"
        + (", with sound" if driving.has_audio else ""),
        **(
            {}
            if len(pieces) == 1
            else {
                "pieces": f"{len(pieces)} of up to {at_once} frames, {pieces[1].held} of them held"
            }
        ),
        "windows": f"{max(counts)} of {length} frames per step, overlap {windows.overlap}",
        "steps": f"{sampling.steps} of {sampling.sampler}, {_guidance(sampling)}" + _full(sampling),
        "UNet calls": f"{calls} of {rows * length * min(per_call, max(counts))} frame rows",
        "memory": f"{need.total / 2**20:.0f} MB estimated: weights {need.weights / 2**20:.0f}, "
        f"clip {need.clip / 2**20:.0f}, denoiser at work {need.working / 2**20:.0f}"
        + (f", step cache {need.cache / 2**20:.0f}" if need.cache else "")
        + "; VAE and image encoder not counted",
    }
    return "".join(_row(name, text) for name, text in lines.items())


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


class _Sheet:
    """Collects a few frames of a clip for a contact sheet."""

    def __init__(self, frames: int) -> None:
        from ..media import spread

        self._wanted = spread(frames, SHEET_FRAMES)
        self._kept: list = []
        self._poses: list = []
        self._passed = 0

    def add(self, frames, poses) -> None:  # noqa: ANN001  (f, H, W, 3) uint8, numpy is imported late
        for frame, pose in zip(frames, poses, strict=True):
            if self._passed in self._wanted:
                self._kept.append(frame.copy())
                self._poses.append(pose)
            self._passed += 1

    def write(self, path: Path, references: list) -> None:
        from ..media import contact_sheet, write_picture

        rows = {
            "reference": references,
            "skeleton": self._poses,
            "result": self._kept,
        }
        write_picture(path, contact_sheet(rows, cell=max(128, min(256, len(self._kept[0])))))
        logger.info("%s: contact sheet", path)


def _source(options: argparse.Namespace) -> list[Path] | str:
    return options.models or options.preset or "aa-mini"


def _preset(options: argparse.Namespace) -> Preset:
    """Return the weights' preset without loading them; a dry run needs no files."""
    from ..weights.load import resolve_preset
    from ..weights.sources import open_parts

    if options.dry_run and not options.models:
        return get_preset(options.preset or "aa-mini")
    return resolve_preset(open_parts(_source(options)), options.preset)


def _size(asked: Size | None, motion: Size, preset: Preset) -> Size:
    """Return the given size in multiples of 8, or the motion's shape at the preset's short side."""
    from ..animate import snap_size

    if asked is None:
        scale = min(preset.width, preset.height) / min(motion.width, motion.height)
        return snap_size(Size(round(motion.width * scale), round(motion.height * scale)))
    snapped = snap_size(asked)
    if snapped != asked:
        logger.warning(
            "size %dx%d: sides must be multiples of 8, taking %dx%d",
            *(asked.width, asked.height, snapped.width, snapped.height),
        )
    return snapped
