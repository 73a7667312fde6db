"""The person that a clip is about: the skeletons, and where others are to be seen as well."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..media.pictures import whole_file
from ..pose.people.smoothing import CleanConfig, clean
from ..pose.people.tracking import choose, track
from ..pose.skeleton.joints import PART_JOINTS, VISIBLE, body_clip
from ..pose.skeleton.stack import boxes, stack, unstack
from ..types import PoseClip, Size

LEAST_OTHER_JOINTS = 6  # of the body's 18; fewer are a false alarm of the detector
LEAST_OTHER_HEIGHT = 0.25  # of the main person's; what is smaller is far in the background


@dataclass(frozen=True)
class Track:
    """One person over a whole clip, on the clip's own canvas."""

    pose: PoseClip  # p = 1, or 0 where nobody was found
    crowded: np.ndarray  # (f,), bool: somebody else is to be seen as well


def main_person(detected: PoseClip) -> Track:
    """Follow everybody and keep who fills most pixels over the clip."""
    everybody = track(detected)
    if everybody.body.xy.shape[1] == 0:
        return Track(everybody, np.zeros(len(detected), bool))
    points = stack(everybody)
    left, top, right, bottom = np.nan_to_num(np.moveaxis(boxes(points.xy, points.seen), -1, 0))
    main = int(np.argmax(((right - left) * (bottom - top)).sum(0)))
    heights = bottom - top  # (f, p); 0 where nobody is
    usual = np.median(heights[points.present[:, main], main])
    joints = (everybody.body.confidence >= VISIBLE).sum(-1)  # (f, p)
    others = (joints >= LEAST_OTHER_JOINTS) & (heights >= LEAST_OTHER_HEIGHT * usual)
    others[:, main] = False
    return Track(choose(everybody, main), others.any(1))


def clean_shots(
    pose: PoseClip,
    cuts: np.ndarray,  # rising numbers of the frames that begin a new shot, without 0
    fps: float,
) -> PoseClip:
    """Fill gaps and remove spikes of a few frames within each shot, never across a cut."""
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
    """Write a track, whole or not at all."""
    points = stack(found.pose)
    with whole_file(path) as part:
        np.savez(
            part,
            canvas=np.array([found.pose.canvas.width, found.pose.canvas.height]),
            xy=points.xy.astype(np.float32),
            confidence=points.confidence.astype(np.float32),
            flags=points.flags,
            crowded=found.crowded,
        )


def read_track(path: Path) -> Track:
    """Return what `write_track` wrote; any of numpy's and zipfile's errors if it cannot be."""
    with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
        canvas = Size(*file["canvas"].tolist())
        empty = body_clip(canvas, np.zeros((*file["xy"].shape[:2], PART_JOINTS["body"], 2)))
        arrays = file["xy"].astype(np.float64), file["confidence"].astype(np.float64)
        return Track(unstack(empty, *arrays, file["flags"]), file["crowded"])
