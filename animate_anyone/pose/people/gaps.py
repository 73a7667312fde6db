"""Points that are missing for a moment, put between their neighbours in time."""

import numpy as np

from ...errors import ConfigError
from ...types import Flag, PoseClip
from ..skeleton.joints import BODY_EDGES, HAND_EDGES, VISIBLE
from ..skeleton.stack import NECK, POINTS, SLICES, stack, unstack

FILLED_CONFIDENCE = 0.4  # enough to be drawn, too little to be taken for a detection

assert VISIBLE < FILLED_CONFIDENCE < 0.5


def _parents() -> tuple[int, ...]:
    """Whose motion each of the 134 points follows; the neck follows nobody's (-1)."""
    parents = [-1] * POINTS
    for parent, child in BODY_EDGES:
        parents[child] = parent
    for part, wrist in (("left_hand", 7), ("right_hand", 4)):
        start = SLICES[part].start
        parents[start] = wrist
        for parent, child in HAND_EDGES:
            parents[start + child] = start + parent
    nose, left_ankle, right_ankle = 0, 13, 10
    parents[SLICES["face"]] = [nose] * 68
    parents[SLICES["feet"]] = [left_ankle] * 3 + [right_ankle] * 3
    return tuple(parents)


PARENTS = _parents()


def _levels() -> tuple[np.ndarray, ...]:
    """Points by their distance from the neck: parents come before their children."""
    depth = [0] * POINTS
    for point in range(POINTS):
        parent = PARENTS[point]
        while parent >= 0:
            depth[point] += 1
            parent = PARENTS[parent]
    return tuple(np.flatnonzero(np.array(depth) == level) for level in range(max(depth) + 1))


_LEVELS = _levels()

assert _LEVELS[0].tolist() == [NECK]


def fill_gaps(
    clip: PoseClip,
    max_gap_frames: int = 8,  # longer gaps stay; 0: fill none
    *,
    hold: bool = False,  # in what stays missing keep a point where it was seen last
) -> PoseClip:
    """Return the clip with points put where they are missing for a moment.

    A point that is seen before and after moves about its parent (elbow about shoulder, finger
    about wrist, face about nose): the angle turns the shorter way and the length changes evenly.
    Where the parent is not known throughout the gap, and for the neck, it moves straight. Held
    points keep their offset to the parent; before its first appearance a point has that of then.
    New points have confidence 0.4 and the flag FILLED or HELD. Points that are never seen in the
    whole clip stay missing.
    """
    if max_gap_frames < 0:
        raise ConfigError(
            f"max_gap_frames got {max_gap_frames}; it must be 0 or more. Use 0 to fill no gap."
        )
    points = stack(clip)
    xy, there, flags = points.xy, points.seen.copy(), points.flags
    before, after = _neighbours(points.seen)
    gap = after - before - 1
    short = ~points.seen & (before >= 0) & (after < len(clip)) & (gap <= max_gap_frames)
    held = ~points.seen & ~short & points.seen.any(0) & hold
    for level in _LEVELS:
        _interpolate(xy, there, before, after, _where(short, level))
        there[..., level] |= short[..., level]
        _hold(xy, there, before, after, _where(held, level))
        there[..., level] |= held[..., level]
    made = short | held
    flags[short] |= np.uint8(Flag.FILLED)
    flags[held] |= np.uint8(Flag.HELD)
    confidence = np.where(made, FILLED_CONFIDENCE, points.confidence)
    return unstack(clip, xy, confidence, flags)


def _neighbours(seen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Frame of the last sight up to now (or -1) and of the next from now on (or f)."""
    frames = len(seen)
    number = np.arange(frames).reshape(-1, *[1] * (seen.ndim - 1))
    before = np.maximum.accumulate(np.where(seen, number, -1), axis=0)
    after = np.minimum.accumulate(np.where(seen, number, frames)[::-1], axis=0)[::-1]
    return before, after


_Index = tuple[np.ndarray, np.ndarray, np.ndarray]  # frames, people, points


def _where(mask: np.ndarray, level: np.ndarray) -> _Index:
    frames, people, column = np.nonzero(mask[..., level])
    return frames, people, level[column]


def _interpolate(
    xy: np.ndarray,  # (f, p, 134, 2), changed
    there: np.ndarray,  # (f, p, 134), points with a position, made or seen
    before: np.ndarray,  # (f, p, 134), frames
    after: np.ndarray,  # (f, p, 134), frames
    missing: _Index,
) -> None:
    """Put points between their neighbours in time, about the parent where that is known."""
    frames, people, points = missing
    if not len(frames):
        return
    start, end = before[missing], after[missing]
    share = ((frames - start) / (end - start))[:, None]
    first, last = xy[start, people, points], xy[end, people, points]
    straight = first + share * (last - first)
    parents = np.array(PARENTS)[points]
    absent = np.concatenate([np.zeros((1, *there.shape[1:]), int), np.cumsum(~there, axis=0)])
    known = (absent[end + 1, people, parents] == absent[start, people, parents]) & (parents >= 0)
    about = _between(first - xy[start, people, parents], last - xy[end, people, parents], share)
    turned = xy[frames, people, parents] + about
    xy[missing] = np.where(known[:, None], turned, straight)


def _between(first: np.ndarray, last: np.ndarray, share: np.ndarray) -> np.ndarray:  # (n, 2)
    """Interpolate vectors in polar form, turning the shorter way."""
    first_length, last_length = (np.linalg.norm(v, axis=1, keepdims=True) for v in (first, last))
    first_angle, last_angle = (np.arctan2(v[:, 1:], v[:, :1]) for v in (first, last))
    # A vector without length has no angle of its own.
    first_angle = np.where(first_length > 0, first_angle, last_angle)
    last_angle = np.where(last_length > 0, last_angle, first_angle)
    turn = np.remainder(last_angle - first_angle + np.pi, 2 * np.pi) - np.pi
    angle = first_angle + share * turn
    length = first_length + share * (last_length - first_length)
    return length * np.concatenate([np.cos(angle), np.sin(angle)], axis=1)


def _hold(
    xy: np.ndarray,  # (f, p, 134, 2), changed
    there: np.ndarray,  # (f, p, 134)
    before: np.ndarray,  # (f, p, 134), frames
    after: np.ndarray,  # (f, p, 134), frames
    missing: _Index,
) -> None:
    """Keep points at the offset to the parent at which they were seen last, or will be first."""
    frames, people, points = missing
    source = np.where(before[missing] >= 0, before[missing], after[missing])
    parents = np.array(PARENTS)[points]
    known = there[frames, people, parents] & there[source, people, parents] & (parents >= 0)
    moved = xy[frames, people, parents] - xy[source, people, parents]
    xy[missing] = xy[source, people, points] + np.where(known[:, None], moved, 0.0)
