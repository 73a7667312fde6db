"""How a generated figure moves, compared with the driving skeletons.

After the idea of FVMD (Liu et al. 2024, arXiv 2407.16124): velocities and accelerations of tracked
points, as histograms of their directions. Here the tracks are body joints, and each clip is
compared with its own truth, so figures cannot be compared with FVMD's.
"""

import numpy as np

from ...pose.skeleton.stack import SLICES, Stack, stack, torso_px
from ...types import PoseClip
from .poses import distances

DIRECTIONS = 8  # bins of a histogram
SMOOTHED = 5  # frames of which a position is the mean: networks read joints with some noise
STEP = 4  # frames over which a change is measured, for the same reason
CELL = 8  # frames that share a histogram
LEAST = 5e-3  # torso lengths in STEP frames: with less mean change the truth stands still


def motion_error(
    clip: PoseClip,  # found in generated frames
    truth: PoseClip,  # of the same canvas, length and order of people
) -> float | None:
    """Return how much of the body's motion is wrong: 0 for the true one, 1 for a still picture.

    Every joint has histograms over 8 directions, one for each 8 frames, in which the lengths of its
    velocities are added up. The figure is their total difference from the truth's histograms,
    divided by the total of the truth's. The same is computed of accelerations, from 9 frames on,
    and both are averaged. A motion in other directions gives more than 1.

    Velocities are changes over 4 frames of positions that are averaged over 5. So jitter from frame
    to frame hardly counts (see `flicker`), and a constant offset does not (see `pose_error`). Only
    joints that the truth shows count; joints and people that the clip misses stand still. None if
    the truth has fewer than 5 frames or does not move.
    """
    distances(clip, truth, SLICES["body"])  # refuses clips that do not belong together
    true, found = stack(truth), stack(clip)
    unit = torso_px(truth, true)[None, :, None, None]
    (ours, seen), (theirs, shown) = (_tracks(points, unit) for points in (found, true))
    errors = []
    for order in (1, 2):
        counts = _all_seen(shown, order)
        if not counts.any():
            continue
        wanted = np.where(counts[..., None], _change(theirs, order), 0.0)
        if np.linalg.norm(wanted[counts], axis=-1).mean() < LEAST:
            continue
        known = counts & _all_seen(seen, order)
        made = np.where(known[..., None], _change(ours, order), 0.0)
        true_sums, sums = _histograms(wanted), _histograms(made)
        errors.append(np.abs(sums - true_sums).sum() / true_sums.sum())
    return float(np.mean(errors)) if errors else None


def _tracks(
    points: Stack,
    unit: np.ndarray,  # (1, p, 1, 1) pixels; p people are returned
) -> tuple[np.ndarray, np.ndarray]:  # (f, p, j, 2) and (f, p, j), bool
    """Return the smoothed positions of body joints, and where they are seen."""
    people = unit.shape[1]
    seen = points.seen[:, :people, SLICES["body"]]
    xy = points.xy[:, :people, SLICES["body"]]
    missed = [(0, 0), (0, people - seen.shape[1]), (0, 0)]
    seen, xy = np.pad(seen, missed), np.pad(xy, [*missed, (0, 0)])
    return _smoothed(xy / unit, seen), seen


def _smoothed(
    xy: np.ndarray,  # (f, p, j, 2)
    seen: np.ndarray,  # (f, p, j), bool
) -> np.ndarray:  # (f, p, j, 2)
    """Average each position over the frames around it in which the joint is seen."""
    weight = seen[..., None].astype(np.float64)
    known = np.where(seen[..., None], xy, 0.0)
    reach = SMOOTHED // 2
    spans = [slice(max(0, t - reach), t + reach + 1) for t in range(len(xy))]
    total = np.stack([known[span].sum(0) for span in spans])
    return total / np.maximum(np.stack([weight[span].sum(0) for span in spans]), 1.0)


def _change(
    xy: np.ndarray,  # (f, p, j, 2)
    order: int,  # 1: velocity; 2: acceleration
) -> np.ndarray:  # (f - order * STEP, p, j, 2)
    for _ in range(order):
        xy = xy[STEP:] - xy[:-STEP]
    return xy


def _all_seen(seen: np.ndarray, order: int) -> np.ndarray:
    """Return whether a joint is seen in all frames between which a change is measured."""
    frames = max(0, len(seen) - order * STEP)
    starts = (number * STEP for number in range(order + 1))
    return np.all([seen[start : start + frames] for start in starts], axis=0)


def _histograms(
    change: np.ndarray,  # (f, p, j, 2)
) -> np.ndarray:  # (cells, p, j, 8)
    """Add up lengths by direction; each goes to the two nearest directions, in proportion."""
    length = np.linalg.norm(change, axis=-1)
    place = np.arctan2(change[..., 1], change[..., 0]) * (DIRECTIONS / (2 * np.pi)) % DIRECTIONS
    low = np.floor(place)
    bins = np.arange(DIRECTIONS)
    lower, upper = ((low[..., None] + step) % DIRECTIONS == bins for step in (0, 1))
    share = (place - low)[..., None]
    each = length[..., None] * (lower * (1 - share) + upper * share)
    starts = range(0, len(change), CELL)
    return np.stack([each[start : start + CELL].sum(0) for start in starts])
