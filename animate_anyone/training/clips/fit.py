"""Frames and poses brought to the size of a data set, at one scale both ways."""

from dataclasses import replace

import numpy as np

from ... import opencv as cv2
from ...evaluation.fitting import Fit, placement
from ...pose.skeleton import PART_JOINTS
from ...types import PoseClip, Size


def fit_frame(
    frame: np.ndarray,  # (H, W, 3) uint8
    size: Size,
    fit: Fit,
) -> np.ndarray:  # (size.height, size.width, 3) uint8
    """Return a frame scaled and centred; `crop` is what the paper does (section 4.1)."""
    scale, left, top = placement(Size(frame.shape[1], frame.shape[0]), size, fit)
    width = max(1, round(frame.shape[1] * scale))
    height = max(1, round(frame.shape[0] * scale))
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    scaled = cv2.resize(frame, (width, height), interpolation=way)
    left, top = round(left), round(top)
    if fit == "crop":
        left, top = min(-left, width - size.width), min(-top, height - size.height)
        return np.ascontiguousarray(scaled[top : top + size.height, left : left + size.width])
    rows, columns = (
        np.arange(length) - start for length, start in ((size.height, top), (size.width, left))
    )
    return scaled[rows.clip(0, height - 1)[:, None], columns.clip(0, width - 1)]


def fit_pose(clip: PoseClip, size: Size, fit: Fit) -> PoseClip:
    """Return a clip placed as `fit_frame` places the frames of its canvas."""
    scale, left, top = placement(clip.canvas, size, fit)
    parts = {
        part: replace(points, xy=points.xy * scale + (left, top))
        for part in PART_JOINTS
        for points in (getattr(clip, part),)
    }
    return PoseClip(canvas=size, **parts)
