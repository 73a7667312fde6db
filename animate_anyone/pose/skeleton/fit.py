"""Fitting skeletons to another canvas, in the way `media.fitting` fits their pictures."""

from dataclasses import replace

from ...fitting import Fit, placement
from ...types import PoseClip, Size
from .joints import PART_JOINTS


def fit_pose(
    clip: PoseClip,
    size: Size,
    fit: Fit = "pad",
    *,
    hide_cut: bool = False,  # joints that `crop` cuts away count as not visible
) -> PoseClip:
    """Return the clip scaled evenly and centred on a canvas of this size."""
    if clip.canvas == size:
        return clip
    scale, left, top = placement(clip.canvas, size, fit)
    parts = {}
    for part in PART_JOINTS:
        points = getattr(clip, part)
        moved = replace(points, xy=points.xy * scale + (left, top))
        if hide_cut and fit == "crop":
            inside = ((moved.xy >= 0) & (moved.xy <= [size.width, size.height])).all(-1)
            moved = replace(moved, confidence=moved.confidence * inside)
        parts[part] = moved
    return PoseClip(canvas=size, **parts)
