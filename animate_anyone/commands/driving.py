"""The driving motion of a command line: keypoints, a skeleton video or a folder of pictures."""

import logging
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..media import clip_info, fit_frame, frames_of
from ..pose.draw import draw_frame
from ..pose.keypoints import read_keypoints
from ..types import PoseClip, Size

logger = logging.getLogger(__name__)

DEFAULT_FPS = Fraction(30)  # of keypoints and folders, which have no speed of their own


@dataclass(frozen=True, kw_only=True)
class Driving:
    """A motion that is known but not yet read or drawn."""

    path: Path
    size: Size  # of its canvas or frames
    fps: Fraction  # of the result
    frames: tuple[int, ...]  # which source frame each frame of the result takes, rising
    clip: PoseClip | None  # None: the file holds pictures
    has_audio: bool


def open_driving(
    path: Path,
    fps: Fraction | None = None,  # of the result; None: as the source
    limit: int | None = None,  # frames of the result
) -> Driving:
    """Describe a motion. A video of another speed keeps its duration: frames are left out or
    repeated.
    """
    if path.suffix.lower() == ".json":
        clip = read_keypoints(path)
        source, count, size, has_audio = None, len(clip), clip.canvas, False
    else:
        info = clip_info(path)
        clip, source, count, size = None, info.fps, info.frames, info.size
        has_audio = info.has_audio
    chosen = fps if fps is not None else source or DEFAULT_FPS
    if not 1 <= chosen <= 1000:
        raise InputError(f"fps got {chosen}; it must lie in 1..1000. Choose for instance 30.")
    pace = source / chosen if source else Fraction(1)
    frames = [min(int(i * pace), count - 1) for i in range(int(count / pace))]
    if limit is not None:
        if limit < 1:
            raise InputError(f"frames got {limit}; a clip needs 1 or more.")
        frames = frames[:limit]
    return Driving(
        path=path, size=size, fps=chosen, frames=tuple(frames), clip=clip, has_audio=has_audio
    )


def read_driving(
    driving: Driving,
    size: Size,
) -> np.ndarray:  # (f, H, W, 3) uint8
    """Return the pose pictures at a size; the source is read once, frame by frame."""
    pictures = np.empty((len(driving.frames), size.height, size.width, 3), np.uint8)
    if driving.clip is not None:
        for row, frame in enumerate(driving.frames):
            pictures[row] = draw_frame(driving.clip, frame, size)
        return pictures
    done = 0
    for index, frame in enumerate(frames_of(driving.path)):
        while done < len(driving.frames) and driving.frames[done] == index:
            pictures[done] = fit_frame(frame, size)
            done += 1
        if done == len(driving.frames):
            return pictures
    logger.warning(
        "%s: %d frames were announced, %d could be read", driving.path, len(pictures), done
    )
    return pictures[:done]
