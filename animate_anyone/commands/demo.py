"""`python -m animate_anyone demo`: animate a drawn character with the video of another one."""

import argparse
import json
import logging
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..drawn import PICTURE_SIZE
from ..pose.drawing.draw import draw_pose
from ..pose.drawing.overlay import overlay
from ..pose.people.pipeline import FollowReport
from ..pose.retarget.modes import USUAL_MODE
from ..pose.retarget.retarget import RetargetReport, retarget
from ..types import SAMPLE_FPS, PoseClip, Size
from .following import (
    Follower,
    add_follow_arguments,
    add_retarget_arguments,
    progress_bar,
    retarget_config,
)
from .options import add_sampling_arguments, machine_from, parse_number, sampling_from

logger = logging.getLogger(__name__)

STRIDE = 2  # frames of the motion per frame of the clip; gives a faster motion
CHARACTER = 3  # number of the animated character in the held-out test
DRIVER = 20  # number of the character in the driving video
OVERLAY = Size(384, 384)  # larger than the clip, so that lines can be distinguished
SHOWN = 8  # frames on the contact sheet


def add_parser(subparsers: "argparse._SubParsersAction") -> None:
    """Add the command to the command line."""
    parser = subparsers.add_parser(
        "demo",
        help="animate a drawn character; needs no files and no downloads",
        description="Animate a drawn character with the video of another one, using the embedded "
        "weights, which were not trained on either. Writes the clip, and in the same folder a "
        "contact sheet (.png), a moving picture (.webp), the driving video (.driving.mp4), the "
        "skeletons over the reference (.overlay.mp4) and a report (.json).",
    )
    add = parser.add_argument
    add(
        "--out",
        type=Path,
        default=Path("demo.mp4"),
        metavar="CLIP.mp4",
        help="the video to write (default: demo.mp4)",
    )
    text = "the contact sheet to write (default: the clip's name with .png)"
    add("--sheet", type=Path, metavar="PICTURE", help=text)
    text = "other weights with aa-mini's layout (default: aa-mini)"
    add("--models", default="aa-mini", metavar="BUNDLE", help=text)
    add("--frames", type=int, default=24, help="length of the clip (default: 24)")
    text = "number of the animated character in the held-out test (default: {})"
    add(
        "--character",
        type=parse_number,
        default=CHARACTER,
        metavar="N",
        help=text.format(CHARACTER),
    )
    text = "number of the character in the driving video (default: {})"
    add("--driver", type=parse_number, default=DRIVER, metavar="N", help=text.format(DRIVER))
    add_retarget_arguments(parser, USUAL_MODE)
    add_follow_arguments(parser)
    add_sampling_arguments(parser)
    parser.set_defaults(run=run)


@dataclass(frozen=True)
class _Scene:
    """One motion performed by two characters; pictures are uint8 RGB of PICTURE_SIZE."""

    reference: np.ndarray  # (H, W, 3): the character in another pose
    driving: np.ndarray  # (f, H, W, 3): the driver
    truth: np.ndarray  # (f, H, W, 3): the character


def run(options: argparse.Namespace) -> int:
    """Run the command; return the exit code."""
    from ..animate import animate, check_plan
    from ..media import VideoWriter, to_bytes, to_pixels
    from ..weights.load import load_models

    started = time.monotonic()
    _check_places(options)
    device, dtype = machine_from(options)
    with progress_bar("loading", "tensor") as progress:
        models = load_models(options.models, dtype=dtype, device=device, progress=progress)
    sampling = sampling_from(options, models.preset)
    check_plan(models.preset, options.frames, PICTURE_SIZE, sampling)
    scene = _paint(options.character, options.driver, options.frames)
    skeletons = _skeletons(options, scene)
    poses = draw_pose(skeletons.fitted, PICTURE_SIZE, dimmed=models.preset.dimmed_poses)

    with VideoWriter(options.out, PICTURE_SIZE, SAMPLE_FPS) as writer:
        with progress_bar("sampling") as progress:
            picture = to_pixels(scene.reference[None]).to(device)
            more = {"progress": progress, "let_go": models.let_go}
            chunks = animate(models, picture, poses, sampling, **more)
        result = np.concatenate([to_bytes(chunk) for chunk in chunks])
        writer.write(result)
    _write_sheet(options.sheet or options.out.with_suffix(".png"), scene, poses, result)
    _write_moving(options.out.with_suffix(".webp"), scene, poses, result)
    _write_overlay(options.out.with_suffix(".overlay.mp4"), scene.reference, skeletons)
    _write_report(options.out.with_suffix(".json"), skeletons)
    seconds = time.monotonic() - started
    logger.info("%s: %d frames in %.1f s", options.out, len(result), seconds)
    return 0


def _check_places(options: argparse.Namespace) -> None:
    """Check all files that will be written before the long computation."""
    from ..media import check_picture_place
    from ..media.encoding import encoding_of
    from ..places import check_place

    check_place(options.out)
    encoding_of(options.out, alpha=False)
    for suffix in (".driving.mp4", ".overlay.mp4", ".json"):
        check_place(options.out.with_suffix(suffix))
    if options.sheet:
        check_picture_place(options.sheet, "sheet")
    else:
        check_picture_place(options.out.with_suffix(".png"))
    check_picture_place(options.out.with_suffix(".webp"))


def _paint(character: int, driver: int, frames: int) -> _Scene:
    """Draw two held-out characters that perform the motion of the first one's test pair."""
    from ..drawn.characters import make_character
    from ..drawn.motions import make_motion
    from ..drawn.painting import paint
    from ..evaluation.held_out import HELD_OUT

    rng = np.random.default_rng((HELD_OUT, character))
    performer = make_character(rng)
    posing, motion = make_motion(rng), make_motion(rng)
    reference = paint(performer, posing.angles(float(rng.integers(200))), PICTURE_SIZE)
    start = float(rng.integers(200))
    other = make_character(np.random.default_rng((HELD_OUT, driver)))
    times = [start + STRIDE * frame for frame in range(frames)]
    driving, truth = (
        np.stack([paint(who, motion.angles(at), PICTURE_SIZE).picture for at in times])
        for who in (other, performer)
    )
    return _Scene(reference.picture, driving, truth)


@dataclass(frozen=True)
class _Skeletons:
    """Skeletons read from video and reference, the retargeted ones, and reports."""

    driver: PoseClip
    reference: PoseClip
    fitted: PoseClip
    following: FollowReport
    found: FollowReport  # of the reference
    retargeting: RetargetReport


def _skeletons(options: argparse.Namespace, scene: _Scene) -> _Skeletons:
    """Write the driving video and read its skeletons back from the file, as a user would."""
    from ..media import VideoWriter, frames_of

    path = options.out.with_suffix(".driving.mp4")
    config = retarget_config(options, options.retarget or USUAL_MODE)
    follower = Follower(options)
    with VideoWriter(path, PICTURE_SIZE, SAMPLE_FPS) as writer:
        writer.write(scene.driving)
    driver, following = follower.clip(frames_of(path), len(scene.driving), SAMPLE_FPS)
    reference, found = follower.picture(scene.reference)
    fitted, retargeting = retarget(driver, reference, config)
    for report in (following, retargeting):
        logger.info("%s", report.text())
    return _Skeletons(driver, reference, fitted, following, found, retargeting)


def _write_sheet(path: Path, scene: _Scene, poses: np.ndarray, result: np.ndarray) -> None:
    from ..media import contact_sheet, spread, write_picture

    shown = spread(len(result), SHOWN)
    clips = {"driving video": scene.driving, "skeleton": poses, "result": result}
    rows: dict[str, list[np.ndarray]] = {"reference": [scene.reference]}
    for name, clip in {**clips, "truth": scene.truth}.items():
        rows[name] = [clip[frame] for frame in shown]
    write_picture(path, contact_sheet(rows, cell=2 * PICTURE_SIZE.height))
    logger.info("%s: contact sheet", path)


def _write_moving(path: Path, scene: _Scene, poses: np.ndarray, result: np.ndarray) -> None:
    """Write reference, driving video, skeleton and result side by side, at twice their size."""
    from ..media import write_moving

    shown = zip(scene.driving, poses, result, strict=True)
    strips = [np.concatenate([scene.reference, *frames], 1) for frames in shown]
    write_moving(path, [strip.repeat(2, 0).repeat(2, 1) for strip in strips], SAMPLE_FPS)
    logger.info("%s: reference, driving video, skeleton and result, moving", path)


def _write_overlay(path: Path, reference: np.ndarray, skeletons: _Skeletons) -> None:
    from ..media import VideoWriter, fit_drawing

    clips = [skeletons.driver, skeletons.fitted, skeletons.reference]
    with VideoWriter(path, OVERLAY, SAMPLE_FPS) as writer:
        for frame in overlay(fit_drawing(reference, OVERLAY), clips):
            writer.write(frame)
    logger.info("%s: driver grey, retargeted in colours, reference white", path)


def _write_report(path: Path, skeletons: _Skeletons) -> None:
    from ..places import whole_file

    data = {
        "driving": skeletons.following.data(),
        "reference": skeletons.found.data(),
        "retargeting": skeletons.retargeting.data(),
    }
    with whole_file(path) as part:
        part.write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")
    logger.info("%s: report", path)
