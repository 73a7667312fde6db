"""Filling gaps: points that are missing for a few frames are interpolated over time."""

import numpy as np

from ...errors import ConfigError
from ...types import Flag, PoseClip
from ..skeleton.joints import BODY_EDGES, HAND_EDGES, VISIBLE
from ..skeleton.stack import NECK, POINTS, SLICES, stack, torso_px, unstack
from .spikes import SPIKE_TORSOS

FILLED_CONFIDENCE = 0.4  # high enough to be drawn, lower than that of a detection

assert VISIBLE < FILLED_CONFIDENCE < 0.5


def _parents() -> tuple[int, ...]:
    """Return the parent of each of the 134 points; -1 for the neck, which has none."""
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
    """Return the points in groups by distance from the neck: parents before their children."""
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
    max_gap_frames: int = 8,  # longer gaps stay missing; 0: fill none
    *,
    hold: bool = False,  # keep points that stay missing where they were seen last
) -> PoseClip:
    """Return the clip with short gaps filled.

    A point that is seen before and after a gap rotates about its parent (elbow about shoulder,
    finger about wrist, face about nose): the angle turns the shorter way and the length changes
    evenly. The neck, and points whose parent is not known throughout the gap, move in a straight
    line. Held points keep the offset from their parent at which they were seen last; frames
    before a point's first appearance use the offset from that appearance. New points have
    confidence 0.4 and the flag FILLED or HELD. Points that are never seen in the whole clip stay
    missing, as do gaps across which a point would move more than half a torso between two frames,
    even in a straight line: one of their ends must be wrong, and filling adds no jumps.
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
    farthest = SPIKE_TORSOS * torso_px(clip, points)
    for level in _LEVELS:
        missing = _where(short, level)
        _interpolate(xy, there, before, after, missing)
        jumping = _jumping(xy, before, missing, farthest)
        _interpolate(xy, there, before, after, jumping, straight=True)
        short[_jumping(xy, before, jumping, farthest)] = False
        there[..., level] |= short[..., level]
        _hold(xy, there, before, after, _where(held, level))
        there[..., level] |= held[..., level]
    made = short | held
    flags[short] |= np.uint8(Flag.FILLED)
    flags[held] |= np.uint8(Flag.HELD)
    confidence = np.where(made, FILLED_CONFIDENCE, points.confidence)
    return unstack(clip, xy, confidence, flags)


def _neighbours(seen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the last frame up to now in which a point is seen (or -1), and the next one (or f)."""
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
    there: np.ndarray,  # (f, p, 134), points that have a position, seen or filled
    before: np.ndarray,  # (f, p, 134), frames
    after: np.ndarray,  # (f, p, 134), frames
    missing: _Index,
    *,
    straight: bool = False,
) -> None:
    """Interpolate missing points in time, about the parent where it is known, or straight."""
    frames, people, points = missing
    if not len(frames):
        return
    start, end = before[missing], after[missing]
    share = ((frames - start) / (end - start))[:, None]
    first, last = xy[start, people, points], xy[end, people, points]
    line = first + share * (last - first)
    if straight:
        xy[missing] = line
        return
    parents = np.array(PARENTS)[points]
    absent = np.concatenate([np.zeros((1, *there.shape[1:]), int), np.cumsum(~there, axis=0)])
    known = (absent[end + 1, people, parents] == absent[start, people, parents]) & (parents >= 0)
    about = _between(first - xy[start, people, parents], last - xy[end, people, parents], share)
    turned = xy[frames, people, parents] + about
    xy[missing] = np.where(known[:, None], turned, line)


def _jumping(
    xy: np.ndarray,  # (f, p, 134, 2)
    before: np.ndarray,  # (f, p, 134), frames
    filled: _Index,
    farthest: np.ndarray,  # (p,), pixels
) -> _Index:
    """Return the filled points of all gaps across which a point jumps."""
    frames, people, points = filled
    here, limit = xy[filled], farthest[people]
    jumps = np.zeros(len(frames), bool)
    for step in (-1, 1):
        jumps |= np.linalg.norm(here - xy[frames + step, people, points], axis=-1) > limit
    gap = np.ravel_multi_index((before[filled], people, points), before.shape)
    whole = np.isin(gap, gap[jumps])
    return frames[whole], people[whole], points[whole]


def _between(first: np.ndarray, last: np.ndarray, share: np.ndarray) -> np.ndarray:  # (n, 2)
    """Interpolate vectors in polar form, turning the shorter way."""
    first_length, last_length = (np.linalg.norm(v, axis=1, keepdims=True) for v in (first, last))
    first_angle, last_angle = (np.arctan2(v[:, 1:], v[:, :1]) for v in (first, last))
    # A vector of length 0 has no angle and takes the other one's.
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
    """Keep points at the offset from the parent at which they were seen last, else first."""
    frames, people, points = missing
    source = np.where(before[missing] >= 0, before[missing], after[missing])
    parents = np.array(PARENTS)[points]
    known = there[frames, people, parents] & there[source, people, parents] & (parents >= 0)
    moved = xy[frames, people, parents] - xy[source, people, parents]
    xy[missing] = xy[source, people, points] + np.where(known[:, None], moved, 0.0)
