"""The main person of a clip: the skeletons, and the frames in which others are seen too."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..places import whole_file
from ..pose.people.smoothing import CleanConfig, clean
from ..pose.people.tracking import choose, track
from ..pose.skeleton.joints import PART_JOINTS, VISIBLE, body_clip
from ..pose.skeleton.stack import boxes, stack, unstack
from ..types import DEFAULT_FPS, PoseClip, Size

LEAST_OTHER_JOINTS = 6  # of 18 body joints; people with fewer are false detections
LEAST_OTHER_HEIGHT = 0.25  # relative to the main person; smaller people are in the background


@dataclass(frozen=True)
class Track:
    """One person over a whole clip, on the clip's own canvas."""

    pose: PoseClip  # p = 1, or 0 if no person was found
    crowded: np.ndarray  # (f,), bool: other people are seen too
    drawn: bool = False  # it was read by networks that know drawn figures only
    notes: tuple[str, ...] = ()  # what was assumed when its keypoints were read from a file


def main_person(
    detected: PoseClip,
    fps: float = float(DEFAULT_FPS),  # frames per second
    colours: np.ndarray | None = None,  # (f, p, 3), CIELAB of clothes; None: not known
) -> Track:
    """Return the track of the person with the largest box area, summed over the clip."""
    tracked = track(detected, fps, colours)
    if tracked.body.xy.shape[1] == 0:
        return Track(tracked, np.zeros(len(detected), bool))
    points = stack(tracked)
    left, top, right, bottom = np.nan_to_num(np.moveaxis(boxes(points.xy, points.seen), -1, 0))
    main = int(np.argmax(((right - left) * (bottom - top)).sum(0)))
    heights = bottom - top  # (f, p); 0 where a person is not seen
    typical = np.median(heights[points.present[:, main], main])
    joints = (tracked.body.confidence >= VISIBLE).sum(-1)  # (f, p)
    others = (joints >= LEAST_OTHER_JOINTS) & (heights >= LEAST_OTHER_HEIGHT * typical)
    others[:, main] = False
    return Track(choose(tracked, main), others.any(1))


def clean_shots(
    pose: PoseClip,
    cuts: np.ndarray,  # ascending numbers of the frames that begin a shot, without 0
    fps: float,
) -> PoseClip:
    """Return the clip with spikes removed and short gaps filled, separately for each shot."""
    points, config = stack(pose), replace(CleanConfig(), fps=fps)
    parts = (np.split(array, cuts) for array in (points.xy, points.confidence, points.flags))
    shots = [stack(clean(unstack(pose, *shot), config)) for shot in zip(*parts, strict=True)]
    return unstack(
        pose,
        np.concatenate([shot.xy for shot in shots]),
        np.concatenate([shot.confidence for shot in shots]),
        np.concatenate([shot.flags for shot in shots]),
    )


def write_track(path: Path, found: Track) -> None:
    """Write a track to a .npz file, atomically."""
    points = stack(found.pose)
    with whole_file(path) as part, part.open("wb") as file:
        np.savez(
            file,
            canvas=np.array([found.pose.canvas.width, found.pose.canvas.height]),
            xy=points.xy.astype(np.float32),
            confidence=points.confidence.astype(np.float32),
            flags=points.flags,
            crowded=found.crowded,
            drawn=found.drawn,
        )


def read_track(path: Path) -> Track:
    """Return a track written by `write_track`; errors of numpy and zipfile are passed on."""
    with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
        canvas = Size(*file["canvas"].tolist())
        empty = body_clip(canvas, np.zeros((*file["xy"].shape[:2], PART_JOINTS["body"], 2)))
        arrays = file["xy"].astype(np.float64), file["confidence"].astype(np.float64)
        drawn = "drawn" in file and bool(file["drawn"])  # older files do not say it
        return Track(unstack(empty, *arrays, file["flags"]), file["crowded"], drawn)
