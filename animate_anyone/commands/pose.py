"""`python -m animate_anyone pose`: extract, retarget, draw and read skeletons."""

import argparse
import json
import logging
import sys
from contextlib import ExitStack
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError
from ..places import check_place
from ..pose.drawing.draw import draw_frame
from ..pose.drawing.overlay import overlay
from ..pose.drawing.read_back import read_skeleton_frames
from ..pose.files.folders import holds_keypoints
from ..pose.files.keypoints import Reading, read_with_notes, write_keypoints
from ..pose.people.pipeline import FollowReport
from ..pose.retarget.modes import USUAL_MODE
from ..pose.retarget.retarget import retarget as retarget_clip
from ..types import PoseClip, Size
from .following import (
    Follower,
    add_follow_arguments,
    add_retarget_arguments,
    progress_bar,
    retarget_config,
)
from .options import add_canvas, parse_fps, parse_size, sentence

logger = logging.getLogger(__name__)

KEYPOINTS = "the keypoints to write, in ComfyUI's format POSE_KEYPOINT"
_FILES = "a JSON file, or a folder with a file per frame"


def add_parser(subparsers: "argparse._SubParsersAction") -> None:
    """Add the command and its parts to the command line."""
    text = "extract, retarget, draw and read skeletons"
    parser = subparsers.add_parser("pose", help=text, description=sentence(text))
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    for add in (_add_extract, _add_retarget, _add_draw, _add_read):
        add(actions)


def _add_extract(actions: "argparse._SubParsersAction") -> None:
    parser = _action(actions, "extract", "find the keypoints of people in a video or picture")
    add = parser.add_argument
    add("video", type=Path, metavar="VIDEO", help="a video, a picture or a folder of pictures")
    add("--out", type=Path, required=True, metavar="K.json", help=KEYPOINTS)
    add("--frames", type=int, help="read at most this many frames")
    add("--report", type=Path, metavar="R.json", help="write the report to this file too")
    add_follow_arguments(parser)
    parser.set_defaults(run=extract)


def _add_retarget(actions: "argparse._SubParsersAction") -> None:
    parser = _action(actions, "retarget", "fit keypoints to the body of a reference")
    add = parser.add_argument
    add("driver", type=Path, metavar="DRIVER.json", help=f"keypoints of the motion: {_FILES}")
    text = "the reference: its keypoints or its picture"
    add("reference", type=Path, metavar="REFERENCE", help=text)
    add_canvas(parser, of="the motion's keypoints")
    add_canvas(parser, "--reference-canvas", "the reference's keypoints")
    add("--out", type=Path, required=True, metavar="OUT.json", help=KEYPOINTS)
    add("--report", type=Path, metavar="R.json", help="write the report to this file too")
    text = "also write a video that shows driver, result and reference together"
    add("--overlay", type=Path, metavar="CLIP.mp4", help=text)
    text = "frames per second of this video (default: those that DRIVER.json names, else 30)"
    add("--fps", type=parse_fps, help=text)
    add_retarget_arguments(parser, USUAL_MODE, "--mode")
    add_follow_arguments(parser)
    parser.set_defaults(run=retarget)


def _add_draw(actions: "argparse._SubParsersAction") -> None:
    text = "draw keypoints as a video of skeletons, the input of the Pose Guider"
    parser = _action(actions, "draw", text)
    add = parser.add_argument
    add("keypoints", type=Path, metavar="K.json", help=f"the keypoints to draw: {_FILES}")
    add_canvas(parser)
    add("--out", type=Path, required=True, metavar="CLIP.mp4", help="the video to write")
    text = "size in pixels (default: the canvas of the keypoints)"
    add("--size", type=parse_size, metavar="WxH", help=text)
    text = "frames per second (default: those that the file names, else 30)"
    add("--fps", type=parse_fps, help=text)
    for part in ("body", "hands", "face"):
        add(f"--no-{part}", dest=part, action="store_false", help=f"do not draw the {part}")
    text = "draw the feet too; public weights were not trained with feet"
    add("--feet", action="store_true", help=text)
    text = "draw lines as wide as for 512 pixels at every size"
    add("--fixed-width", action="store_true", help=text)
    text = "draw points darker the less confident they are; public weights were not trained on this"
    add("--dim", action="store_true", help=text)
    parser.set_defaults(run=draw)


def _add_read(actions: "argparse._SubParsersAction") -> None:
    text = "read the keypoints from a clip of drawn skeletons of 256 pixels or more"
    parser = _action(actions, "read", text)
    add = parser.add_argument
    add("skeletons", type=Path, metavar="SKELETON.mp4", help="a video or folder of pictures")
    add("--out", type=Path, required=True, metavar="K.json", help=KEYPOINTS)
    add("--report", type=Path, metavar="R.json", help="write the report to this file too")
    parser.set_defaults(run=read)


def _action(actions: "argparse._SubParsersAction", name: str, text: str) -> argparse.ArgumentParser:
    return actions.add_parser(name, help=text, description=sentence(text))


def extract(options: argparse.Namespace) -> int:
    """Write the keypoints of a video; return the exit code."""
    from .driving import follow_video, open_driving

    _check_places(options)
    follower = Follower(options)
    driving = open_driving(options.video, None, options.frames, "video")
    clip, report = follow_video(driving, follower)
    return _finished(options, clip, report.text(), report.data(), driving.source_fps)


def retarget(options: argparse.Namespace) -> int:
    """Write keypoints on the reference's body; return the exit code."""
    _check_places(options)
    config = retarget_config(options, options.retarget or USUAL_MODE)
    motion = read_with_notes(options.driver, options.canvas)
    reference, picture, found = _reference(options)
    driver, pose = motion.clip, reference.clip
    clip, report = retarget_clip(driver, pose, config)
    if found is not None and not found.found:
        logger.warning("%s: no person was found in the reference", options.reference)
    for doubt in found.doubts if found else ():
        logger.warning("%s: %s", options.reference, doubt)
    if options.overlay:
        fps = motion.fps if options.fps is None else options.fps
        _write_overlay(options.overlay, picture, [driver, clip, pose], fps)
        logger.info("%s: %s", options.overlay, motion.speed_line(options.fps))
    notes = {"driver": motion.notes, "reference": reference.notes}
    lines = [*motion.lines("driver"), *reference.lines("reference"), report.text()]
    text = "\n".join(lines)
    fps = motion.speed and motion.fps
    return _finished(options, clip, text, report.data() | {"notes": notes}, fps)


def draw(options: argparse.Namespace) -> int:
    """Write a clip of drawn skeletons; return the exit code."""
    from ..media import VideoWriter

    reading = read_with_notes(options.keypoints, options.canvas)
    clip = reading.clip
    sys.stdout.writelines(f"{line}\n" for line in reading.lines())
    sys.stdout.write(f"keypoints: {reading.speed_line(options.fps)}\n")
    size = options.size or clip.canvas
    parts = {part: getattr(options, part) for part in ("body", "hands", "face", "feet")}
    style = {"fixed_width": options.fixed_width, "dimmed": options.dim}
    fps = reading.fps if options.fps is None else options.fps
    with VideoWriter(options.out, size, fps, expected=len(clip)) as writer:
        for frame in range(len(clip)):
            picture = draw_frame(clip, frame, size, **style, **parts)
            writer.write(picture)
    logger.info("%s: %d frames of %dx%d", options.out, len(clip), size.width, size.height)
    return 0


def read(options: argparse.Namespace) -> int:
    """Write the keypoints of a clip of drawn skeletons; return the exit code."""
    from ..media import clip_info, frames_of

    _check_places(options)
    info = clip_info(options.skeletons)
    clip, report = read_skeleton_frames(frames_of(info, "black"))
    notes = info.remarks(len(clip))
    text = "\n".join([str(report), *notes])
    return _finished(options, clip, text, asdict(report) | {"notes": notes}, info.fps)


def _reference(
    options: argparse.Namespace,
) -> tuple[Reading, np.ndarray, FollowReport | None]:
    """Return the reference's pose, its picture (black for keypoints), and a report if found."""
    from ..media import read_picture, to_bytes

    if holds_keypoints(options.reference):
        given = (options.reference_canvas, "--reference-canvas")
        reading = read_with_notes(options.reference, *given)
        canvas = reading.clip.canvas
        return reading, np.zeros((canvas.height, canvas.width, 3), np.uint8), None
    if options.reference_canvas is not None:
        raise InputError(
            f"--reference-canvas was given, but {options.reference} is a picture, which has a "
            "size of its own. Leave it out."
        )
    picture = to_bytes(read_picture(options.reference))[0]
    pose, report = Follower(options).picture(picture)
    return Reading(clip=pose, notes=()), picture, report


def _write_overlay(
    path: Path,
    picture: np.ndarray,  # (H, W, 3) uint8
    clips: list[PoseClip],  # driver, result, reference
    fps: Fraction,
) -> None:
    from ..media import VideoWriter

    size = Size(picture.shape[1], picture.shape[0])
    with (
        VideoWriter(path, size, fps, name="overlay") as writer,
        progress_bar("overlay", "frame") as progress,
    ):
        for frame in overlay(picture, clips):
            writer.write(frame)
            progress(writer.frames, len(clips[0]))
    logger.info("%s: driver grey, result in colours, reference white", path)


def _finished(
    options: argparse.Namespace,
    clip: PoseClip,
    text: str,
    data: dict[str, Any],
    fps: Fraction | None,  # frames per second, for the file; None: not known
) -> int:
    """Write the keypoints and the report, both or neither; print the report."""
    from ..places import whole_file

    with ExitStack() as files:
        write_keypoints(files.enter_context(whole_file(options.out)), clip, fps)
        if options.report:
            report = files.enter_context(whole_file(options.report, name="report"))
            report.write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")
    sys.stdout.write(text + "\n")
    logger.info("%s: %d frames, %d people", options.out, len(clip), clip.body.xy.shape[1])
    return 0


def _check_places(options: argparse.Namespace) -> None:
    """Check the files to write before the long computation: their endings and their places."""
    from ..media.encoding import encoding_of

    if options.out.suffix.lower() != ".json":
        raise InputError(
            f"out got {options.out.name!r}; keypoints are written as .json. Choose a name that "
            "ends with .json."
        )
    shown = getattr(options, "overlay", None)
    if shown:
        encoding_of(shown, alpha=False, name="overlay")
        check_place(shown, name="overlay")
    if options.report:
        check_place(options.report, name="report")
    check_place(options.out)
