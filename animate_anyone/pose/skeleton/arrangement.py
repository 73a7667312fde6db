"""Which layout points have that are as many in several layouts: told by where the points lie.

In the right order bones are short ways between points. In a wrong one they cross the body, from a
wrist to a knee for instance, and all of them together are much longer than the shortest tree
through the same points.
"""

from collections.abc import Sequence

import numpy as np

from .joints import VISIBLE
from .layouts import ANIMALS_17, COCO_17, POSETRACK_17, RIVALS, Bones, Layout

_MOST_BODIES = 64  # that are looked at; they are taken evenly from all
_LEAST_SEEN = 0.9  # of the bones: half a body looks alike in several layouts
# A rival is taken if its bones are this much shorter, and not if nobody could have them. Of drawn
# bodies in any pose and from any side the usual layout was never told from its own points below
# .94, and rivals never lay above .72; the bones of a body are up to 1.9 of the shortest tree.
_CLEAR, _LONGEST = 0.8, 1.8
_FLAT = 0.02  # of the length of a body: points on a line are no person
# PoseTrack has the lower and the upper end of the head in the place of COCO's eyes: along the line
# from neck to nose they lie this far apart, and the lower one this far below the nose. Lengths are
# shares of neck to nose; seen from above, that is short, so a share of the shoulders is the least.
_HEAD, _BELOW_NOSE, _OF_SHOULDERS = 1.0, 0.45, 0.35


def stretch(
    points: np.ndarray,  # (n, k, 3): x, y, confidence
    bones: Bones,
) -> np.ndarray:  # (n,), 1 or more; NaN for bodies of which too little is seen
    """Return the length of a body's bones by that of the shortest tree through their ends."""
    pairs = np.array(bones)
    seen = points[..., 2] >= VISIBLE
    there = seen[:, pairs].all(-1)
    ways = np.linalg.norm(points[:, pairs[:, 0], :2] - points[:, pairs[:, 1], :2], axis=-1)
    ends = np.unique(pairs)
    used = seen[:, ends]
    xy = np.where(used[..., None], points[:, ends, :2], np.nan)
    enough = (there.mean(1) >= _LEAST_SEEN) & _is_wide(xy)
    result = np.full(len(points), np.nan)
    if enough.any():
        total = (ways * there).sum(1)[enough]
        result[enough] = total / np.maximum(_shortest(xy[enough], used[enough]), 1e-9)
    return result


def _is_wide(xy: np.ndarray) -> np.ndarray:  # (n, k, 2), NaN: not seen -> (n,) bool
    """Return which bodies are more than points on a line."""
    there = ~np.isnan(xy[..., :1])
    count = np.maximum(there.sum(1, keepdims=True), 1)
    off = np.where(there, xy - np.where(there, xy, 0).sum(1, keepdims=True) / count, 0)
    narrow, long = np.linalg.svd(off, compute_uv=False)[:, ::-1].T
    return narrow > _FLAT * long


def _shortest(xy: np.ndarray, used: np.ndarray) -> np.ndarray:  # (n, k, 2), (n, k) -> (n,)
    """Return the length of the shortest tree through the points in use, by Prim's rule."""
    away = np.linalg.norm(xy[:, :, None] - xy[:, None], axis=-1)
    away[np.isnan(away)] = np.inf
    rows = np.arange(len(xy))
    latest = used.argmax(1)
    left = used.copy()
    left[rows, latest] = False
    near, total = np.full(used.shape, np.inf), np.zeros(len(xy))
    while left.any():
        near = np.minimum(near, away[rows, latest])
        latest = np.where(left, near, np.inf).argmin(1)
        total += np.where(left[rows, latest], near[rows, latest], 0)
        left[rows, latest] = False
    return total


def told_apart(
    usual: Sequence[Layout],  # that a file with this number of points mostly has
    points: np.ndarray,  # (n, k, 3): x, y, confidence of all bodies
) -> Layout | None:
    """Return the rival whose points these are; None if they are those of a usual layout.

    `ANIMALS_17` is one of them here, so that animals are not taken for people.
    """
    rivals = [one for one in (*RIVALS, ANIMALS_17) if one.keypoints == points.shape[1]]
    if not rivals:
        return None
    points = points[:: max(1, len(points) // _MOST_BODIES)]
    own = np.fmin.reduce([stretch(points, layout.bones) for layout in usual if layout.bones])
    shares = {layout.name: 1.0 for layout in rivals}
    for rival in (one for one in rivals if one.bones):
        ways = stretch(points, rival.bones)
        both = ~np.isnan(ways) & ~np.isnan(own)
        if both.any() and np.median(ways[both]) <= _LONGEST:
            shares[rival.name] = float(np.median(ways[both] / own[both]))
    best = min(rivals, key=lambda layout: shares[layout.name])
    if shares[best.name] <= _CLEAR:
        return best
    return POSETRACK_17 if COCO_17 in usual and _has_ends_of_head(points) else None


def _has_ends_of_head(points: np.ndarray) -> bool:  # (n, 17, 3)
    """Return whether points 1 and 2 are the ends of a head, and not a pair of eyes."""
    points = points[(points[:, [0, 1, 2, 5, 6], 2] >= VISIBLE).all(1), :, :2]
    if not len(points):
        return False
    nose, low, high = points[:, 0], points[:, 1], points[:, 2]
    up = nose - points[:, 5:7].mean(1)
    long = np.linalg.norm(up, axis=1)
    least = _OF_SHOULDERS * np.linalg.norm(points[:, 5] - points[:, 6], axis=1)
    scale = np.maximum(np.maximum(long, least), 1e-9) * np.maximum(long, 1e-9)
    below = np.median(((low - nose) * up).sum(1) / scale)
    above = np.median(((high - nose) * up).sum(1) / scale)
    return bool(above - below > _HEAD and below < -_BELOW_NOSE)
