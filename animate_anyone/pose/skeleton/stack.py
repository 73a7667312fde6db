"""All parts of a clip in one array, for code that treats all points in the same way."""

from dataclasses import dataclass

import numpy as np

from ...types import Points, PoseClip
from .joints import PART_JOINTS, VISIBLE

POINTS = sum(PART_JOINTS.values())  # 134
SLICES: dict[str, slice] = {}
for _part, _joints in PART_JOINTS.items():
    _start = sum(part.stop - part.start for part in SLICES.values())
    SLICES[_part] = slice(_start, _start + _joints)

assert SLICES["feet"].stop == POINTS == 134

NECK, SHOULDERS, HIPS = 1, (2, 5), (8, 11)
_TORSO_PER_SHOULDERS = 1.25  # used if the hips are never seen
_TORSO_PER_CANVAS = 0.25  # used if the shoulders are never seen either


@dataclass(frozen=True, kw_only=True)
class Stack:
    """The 134 points of every person in every frame: body, hands, face, feet."""

    xy: np.ndarray  # (f, p, 134, 2), float64, pixels
    confidence: np.ndarray  # (f, p, 134), float64
    flags: np.ndarray  # (f, p, 134), uint8 of Flag
    seen: np.ndarray  # (f, p, 134), bool: confidence is VISIBLE or more

    @property
    def present(self) -> np.ndarray:  # (f, p), bool
        """Whether a person shows any point in a frame."""
        return np.asarray(self.seen.any(-1))


def stack(clip: PoseClip) -> Stack:
    """Copy the points of a clip into single arrays; points that are not finite become missing."""
    parts: list[Points] = [getattr(clip, part) for part in SLICES]
    xy = np.concatenate([part.xy for part in parts], axis=2).astype(np.float64)
    confidence = np.concatenate([part.confidence for part in parts], axis=2).astype(np.float64)
    finite = np.asarray(np.isfinite(xy).all(-1))
    xy, confidence = np.where(finite[..., None], xy, 0.0), np.where(finite, confidence, 0.0)
    no_flags = [np.zeros(part.confidence.shape, np.uint8) for part in parts]
    flags = [
        none if part.flags is None else part.flags.astype(np.uint8)
        for part, none in zip(parts, no_flags, strict=True)
    ]
    return Stack(
        xy=xy,
        confidence=confidence,
        flags=np.concatenate(flags, axis=2),
        seen=confidence >= VISIBLE,
    )


def unstack(
    clip: PoseClip,  # gives the canvas
    xy: np.ndarray,  # (f, p, 134, 2)
    confidence: np.ndarray,  # (f, p, 134)
    flags: np.ndarray,  # (f, p, 134)
) -> PoseClip:
    """Return a clip of these points; a part without any flag set gets flags=None."""
    parts = {
        part: Points(
            xy=xy[:, :, where].copy(),
            confidence=confidence[:, :, where].copy(),
            flags=flags[:, :, where].copy() if flags[:, :, where].any() else None,
        )
        for part, where in SLICES.items()
    }
    return PoseClip(canvas=clip.canvas, **parts)


def boxes(xy: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Return left, top, right, bottom of the seen points: (..., 4) of (..., j, 2); NaN if none."""
    there = seen.any(-1, keepdims=True)
    low = np.where(seen[..., None], xy, np.inf).min(-2)
    high = np.where(seen[..., None], xy, -np.inf).max(-2)
    return np.where(there, np.concatenate([low, high], -1), np.nan)


def torso_px(clip: PoseClip, points: Stack) -> np.ndarray:  # (p,), always above 0
    """Return the length of each person's torso in pixels, the unit for other lengths.

    It is the 90th percentile over the clip of the distance from the neck to the middle of the
    hips, because a torso seen from above or bent forward looks shorter than it is. If the hips are
    never seen, it is 1.25 shoulder widths; without shoulders, a quarter of the canvas's shorter
    side.
    """
    neck_to_hips = points.xy[:, :, NECK] - points.xy[:, :, list(HIPS)].mean(2)
    shoulders = points.xy[:, :, SHOULDERS[0]] - points.xy[:, :, SHOULDERS[1]]
    result = np.full(
        points.xy.shape[1], _TORSO_PER_CANVAS * min(clip.canvas.width, clip.canvas.height)
    )
    for person in range(len(result)):
        for vector, joints, ratio in (
            (neck_to_hips, (NECK, *HIPS), 1.0),
            (shoulders, SHOULDERS, _TORSO_PER_SHOULDERS),
        ):
            there = points.seen[:, person, list(joints)].all(-1)
            lengths = np.linalg.norm(vector[there, person], axis=-1)
            length = ratio * float(np.percentile(lengths, 90)) if there.any() else 0.0
            if length > 0:
                result[person] = length
                break
    return result
