"""The driving motion of a command line: keypoints, a skeleton clip, or a video of a person."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Literal

import numpy as np

from ..errors import InputError
from ..media import Background, ClipInfo, clip_info, fit_drawing, frames_of
from ..pose.drawing.colours import is_skeleton, with_colours_in_order
from ..pose.drawing.draw import draw_frame
from ..pose.drawing.read_back import read_skeleton_frames
from ..pose.files.folders import holds_keypoints
from ..pose.files.keypoints import read_with_notes
from ..pose.people.pipeline import FollowReport
from ..pose.retarget.retarget import RetargetConfig, retarget
from ..types import DEFAULT_FPS, PoseClip, Size
from .following import Follower

logger = logging.getLogger(__name__)

HINT = (
    "The embedded networks find only drawn characters; for people download DWPose's "
    "(python -m animate_anyone download dwpose) and name them with --detector and --estimator."
)

NOTHING_DRAWN = "nothing is drawn in any frame; all skeletons are empty or off the canvas."

Kind = Literal["keypoints", "skeleton", "video"]

LOOKED_AT = 5  # frames that are examined to distinguish skeletons from a video of a person


@dataclass(frozen=True, kw_only=True)
class Driving:
    """A driving motion: its file and properties. Its frames are read and drawn later."""

    path: Path
    kind: Kind
    size: Size  # pixels of its canvas or frames
    fps: Fraction  # of the result
    speed: str  # the same in words, and where it comes from
    frames: tuple[int, ...]  # the source frame of each frame of the result, in rising order
    clip: PoseClip | None  # None: the file holds pictures
    source_fps: Fraction | None  # None: the source has no frame rate
    has_audio: bool
    info: ClipInfo | None  # None: the file holds keypoints
    dimmed: bool = False  # draw points the darker the less confident they are

    @property
    def background(self) -> Background:
        """Return what stands behind transparent parts of its pictures."""
        return "black" if self.kind == "skeleton" else "white"


def open_driving(
    path: Path,
    fps: Fraction | None = None,  # of the result; None: the source's
    limit: int | None = None,  # most frames of the result
    kind: Literal["auto", "skeleton", "video"] = "auto",  # of pictures; auto: examine some frames
    canvas: Size | None = None,  # for keypoints whose file does not name it
) -> Driving:
    """Return the properties of a motion without reading its frames; keypoints are read.

    With an `fps` other than that of a video the duration stays: frames are left out or repeated.
    Of keypoints every frame is shown once at this speed, whatever their file names.
    """
    clip, source, has_audio, found, info = None, None, False, "keypoints", None
    if holds_keypoints(path):
        reading = read_with_notes(path, canvas)
        for note in reading.notes:
            logger.warning("%s: %s", path, note)
        clip, usual, speed = reading.clip, reading.fps, reading.speed_line(fps)
        count, size = len(clip), clip.canvas
    else:
        if canvas is not None:
            raise InputError(
                f"canvas got {canvas.width}x{canvas.height}, but {path} holds pictures, which have "
                "a size of their own. Leave --canvas out."
            )
        if path.is_dir() and (files := len(list(path.glob("[!.]*.json")))):
            logger.warning("%s: read as pictures; its %d JSON files are passed over", path, files)
        info = clip_info(path)
        source, count, size, has_audio = info.fps, info.frames, info.size, info.has_audio
        found = kind if kind != "auto" else kind_of(info, count)
        logger.info("%s: read as %s", path, _MEANINGS[found])
        for remark in info.remarks(count):
            logger.warning("%s: %s", path, remark)
        usual, speed = source or DEFAULT_FPS, _speed(source, fps)
    chosen = usual if fps is None else fps
    return Driving(
        path=path,
        kind=found,  # type: ignore[arg-type]
        size=size,
        fps=chosen,
        speed=speed,
        frames=_frames(count, source, chosen, limit),
        clip=clip,
        source_fps=source,
        has_audio=has_audio,
        info=info,
    )


def _speed(source: Fraction | None, chosen: Fraction | None) -> str:
    """Return the speed of a clip of pictures in words, and where it comes from."""
    if chosen is not None:
        return f"{float(chosen):.5g} frames per second, as --fps says"
    if source is not None:
        return f"{float(source):.5g} frames per second, as the video has"
    return f"{float(DEFAULT_FPS):.5g} frames per second, assumed; pictures have no speed"


_MEANINGS = {"skeleton": "a clip of drawn skeletons", "video": "a video of a person"}


def kind_of(clip: Path | ClipInfo, count: int) -> Literal["skeleton", "video"]:
    """Return what a clip shows, drawn skeletons or people, judged by a few of its first frames.

    Transparent parts count as black, as behind skeletons.
    """
    every = max(1, min(count, 10 * LOOKED_AT) // LOOKED_AT)
    looked_at = list(islice(frames_of(clip, "black"), 0, every * LOOKED_AT, every))
    votes = sum(is_skeleton(frame) for frame in looked_at)
    return "skeleton" if 2 * votes > len(looked_at) else "video"


def read_skeletons(driving: Driving, follower: Follower) -> Driving:
    """Return the motion with keypoints; pictures are read once, up to the last needed one."""
    if driving.clip is not None:
        return driving
    needed = driving.frames[-1] + 1
    if driving.kind == "video":
        clip, report = follow_video(driving, follower)
        text = report.text()
    else:
        clip, report = read_skeleton_frames(
            islice(frames_of(driving.info or driving.path, driving.background), needed)
        )
        text = str(report)
    logger.info("%s: %s", driving.path, text)
    kept = tuple(frame for frame in driving.frames if frame < len(clip))
    return replace(driving, clip=clip, frames=kept)


def follow_video(driving: Driving, follower: Follower) -> tuple[PoseClip, FollowReport]:
    """Return the skeletons in a video, up to the last needed frame, and a report."""
    needed = driving.frames[-1] + 1
    frames = islice(frames_of(driving.info or driving.path, driving.background), needed)
    clip, report = follower.clip(frames, needed, driving.source_fps)
    if len(clip) < needed:
        _warn_short(driving, needed, len(clip))
    if driving.info is not None:
        report = report.with_notes(driving.info.remarks(len(clip), needed))
    if not report.found:
        logger.warning("%s: no people were found; all skeletons are empty. %s", driving.path, HINT)
    return clip, report


def fit_to_reference(
    driving: Driving,  # with its keypoints
    reference: np.ndarray,  # (H, W, 3) uint8 RGB
    follower: Follower,
    config: RetargetConfig,
) -> Driving:
    """Return the motion fitted to the body and canvas of the reference picture."""
    if driving.clip is None:
        raise InputError(
            f"poses got {driving.path} without keypoints; call read_skeletons on it first."
        )
    pose, found = follower.picture(reference)
    if not found.found:
        logger.warning("reference: no person was found in the picture. %s", HINT)
    for doubt in found.doubts:
        logger.warning("reference: %s", doubt)
    clip, report = retarget(driving.clip, pose, config)
    logger.info("retargeting: %s", replace(report, warnings=()).text())
    for warning in report.warnings:
        logger.warning("retargeting: %s", warning)
    return replace(driving, clip=clip, size=clip.canvas)


def read_driving(
    driving: Driving,
    size: Size,
) -> np.ndarray:  # (f, H, W, 3) uint8
    """Return the pictures of skeletons at a size; the source is read once, frame by frame."""
    pictures = np.empty((len(driving.frames), size.height, size.width, 3), np.uint8)
    done = 0
    for picture in drawn_frames(driving, size):
        pictures[done] = picture
        done += 1
    return pictures[:done]


def drawn_frames(
    driving: Driving,
    size: Size,
) -> Iterator[np.ndarray]:  # (H, W, 3) uint8
    """Yield the pictures of skeletons at a size, one by one; the log tells if all are empty."""
    empty = True
    for number, picture in enumerate(_drawn(driving, size), start=1):
        empty = empty and not picture.any()
        if empty and number == len(driving.frames):
            logger.warning("%s: %s", driving.path, NOTHING_DRAWN)
        yield picture


def _drawn(driving: Driving, size: Size) -> Iterator[np.ndarray]:
    if driving.clip is not None:
        for frame in driving.frames:
            yield draw_frame(driving.clip, frame, size, dimmed=driving.dimmed)
        return
    done = 0

    def tell(note: str) -> None:
        logger.warning("%s: %s", driving.path, note)

    for picture in with_colours_in_order(frames_as_listed(driving), tell):
        yield fit_drawing(picture, size)
        done += 1
    if done < len(driving.frames):
        _warn_short(driving, len(driving.frames), done)


def frames_as_listed(driving: Driving) -> Iterator[np.ndarray]:
    """Yield the source's pictures, left out or repeated as `driving.frames` says."""
    wanted = iter(driving.frames)
    next_one = next(wanted, None)
    for index, frame in enumerate(frames_of(driving.info or driving.path, driving.background)):
        while next_one == index:
            yield frame
            next_one = next(wanted, None)
        if next_one is None:
            return


def _frames(
    count: int, source: Fraction | None, chosen: Fraction, limit: int | None
) -> tuple[int, ...]:
    """Return the source frame of each frame of the result."""
    if not Fraction(1, 1000) <= chosen <= 1000:
        raise InputError(f"fps got {chosen}; it must lie in 0.001..1000. Choose for instance 30.")
    pace = source / chosen if source else Fraction(1)
    frames = tuple(min(int(i * pace), count - 1) for i in range(max(1, int(count / pace))))
    if limit is None:
        return frames
    if limit < 1:
        raise InputError(f"frames got {limit}; a clip needs 1 or more.")
    return frames[:limit]


def _warn_short(driving: Driving, announced: int, read: int) -> None:
    logger.warning(
        "%s: the file lists %d frames, but %d could be read", driving.path, announced, read
    )
