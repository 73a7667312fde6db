"""Putting back left and right where an estimator exchanged them for a few frames."""

from collections.abc import Iterator

import numpy as np

from ...types import DEFAULT_FPS, Flag, PoseClip
from ..skeleton.stack import SLICES, Stack, stack, torso_px, unstack

# A longer exchange may be a person who turned round.
MOST_FRAMES, MOST_SECONDS = 4, 0.17
_CLEARLY = 0.5  # largest error with exchanged sides, relative to the error as they are
_LEAST_TORSOS = 0.02  # least difference of these errors; smaller ones are noise
_AGAINST_TORSOS = 0.05  # this difference in favour of one pair as it is leaves all as they are
_PASSES = 4  # an exchange next to another one is found once the other one is put back

_HEAD, _UPPER = ((15, 14), (17, 16)), ((5, 2), (6, 3), (7, 4))  # (left, right)
_LEGS = ((11, 8), (12, 9), (13, 10))


def _pairs(left: slice, right: slice) -> tuple[tuple[int, int], ...]:
    return tuple(zip(range(left.start, left.stop), range(right.start, right.stop), strict=True))


_FEET = SLICES["feet"].start
# The parts that are exchanged together, larger ones first.
_GROUPS = (
    _HEAD + _UPPER + _LEGS,
    _UPPER,
    _LEGS,
    _UPPER[1:],
    _LEGS[1:],
    _HEAD,
    _pairs(SLICES["left_hand"], SLICES["right_hand"]),
    _pairs(slice(_FEET, _FEET + 3), slice(_FEET + 3, _FEET + 6)),
)

_Run = tuple[int, int, float, int]  # person, frame before it, minus gain in pixels, frames


def put_back_sides(
    clip: PoseClip,
    fps: float = float(DEFAULT_FPS),  # frames per second
) -> PoseClip:
    """Return the clip with left and right put back where they are exchanged for 1 to 4 frames.

    The whole body or a part of it (arms, legs, forearms, lower legs, head, hands, feet) is
    exchanged if its points lie much nearer to the course of the other side, which is interpolated
    from the frames before and after with position and speed. Points of people who turn round keep
    their own course, so they stay. At fewer than 24 frames per second, where half a turn takes
    few frames, only shorter exchanges are put back. The points get the flag SWAPPED.
    """
    if len(clip) < 3:
        return clip
    points = stack(clip)
    torso = torso_px(clip, points)
    longest = min(MOST_FRAMES, max(1, int(MOST_SECONDS * fps)), len(clip) - 2)
    for group in _GROUPS:
        for _ in range(_PASSES):
            runs = sorted(_runs(points, torso, np.array(group), longest))
            if not _put_back(points, np.array(group), runs):
                break
    return unstack(clip, points.xy, points.confidence, points.flags)


def _put_back(points: Stack, group: np.ndarray, runs: list[_Run]) -> bool:
    """Exchange the sides in these runs unless they touch an earlier one.

    From first to last, because the few frames between two exchanges look exchanged as well.
    """
    touched = np.zeros(points.seen.shape[:2], bool)
    for person, before, _, count in runs:
        around = slice(before, before + count + 2)
        if touched[around, person].any():
            continue
        touched[around, person] = True
        frames = slice(before + 1, before + 1 + count)
        columns, exchanged = group.ravel(), group[:, ::-1].ravel()
        for values in (points.xy, points.confidence, points.flags, points.seen):
            values[frames, person, columns] = values[frames, person, exchanged].copy()
        seen = points.seen[frames, person][:, columns]
        flags = points.flags[frames, person]
        flags[:, columns] |= np.where(seen, Flag.SWAPPED, 0).astype(np.uint8)
        points.flags[frames, person] = flags
    return bool(touched.any())


def _runs(
    points: Stack,
    torso: np.ndarray,  # (p,), pixels
    group: np.ndarray,  # (k, 2), left and right
    longest: int,  # frames
) -> Iterator[_Run]:
    """Yield the runs of frames in which a part is exchanged."""
    both = np.asarray(points.seen[:, :, group].all(-1))  # (f, p, k)
    if not both.any():
        return
    xy = points.xy[:, :, group]  # (f, p, k, 2, 2)
    # Where an exchange begins and ends, the step to the other side is the shorter one.
    known = both[:-1] & both[1:]
    same = np.linalg.norm(xy[1:] - xy[:-1], axis=-1).sum(-1)
    cross = np.linalg.norm(xy[1:] - xy[:-1, :, :, ::-1], axis=-1).sum(-1)
    jumps = (cross * known).sum(-1) < (same * known).sum(-1)  # (f - 1, p)
    for count in range(1, longest + 1):
        before, person = np.nonzero(jumps[:-count] & jumps[count:])
        if len(before):
            yield from _exchanged(xy, both, torso, before, person, count)


def _exchanged(
    xy: np.ndarray,  # (f, p, k, 2, 2)
    both: np.ndarray,  # (f, p, k)
    torso: np.ndarray,  # (p,)
    before: np.ndarray,  # (n,), frames before the candidates
    person: np.ndarray,  # (n,)
    count: int,  # frames of a candidate
) -> Iterator[_Run]:
    """Yield the candidates that lie much nearer to the course of the other side."""
    after, last = before + count + 1, len(xy) - 1
    start, end = xy[before, person], xy[after, person]  # (n, k, 2, 2)
    ends = both[before, person] & both[after, person]
    straight = (end - start) / (count + 1)

    def speed(frame: np.ndarray, outer: np.ndarray, sign: int) -> np.ndarray:
        inside = (outer >= 0) & (outer <= last)
        outer = outer.clip(0, last)
        there = both[outer, person] & inside[:, None]
        step = sign * (xy[frame, person] - xy[outer, person])
        return np.where(there[..., None, None], step, straight)

    first, final = speed(before, before - 1, 1), speed(after, after + 1, -1)
    good = np.ones(len(before), bool)
    gains = np.zeros(start.shape[:2])  # (n, k), pixels
    for step in range(1, count + 1):
        u = step / (count + 1)
        course = (1 + 2 * u) * (1 - u) ** 2 * start + u * u * (3 - 2 * u) * end
        course = course + (count + 1) * (u * (1 - u) ** 2 * first - u * u * (1 - u) * final)
        found = xy[before + step, person]
        known = ends & both[before + step, person]
        as_is = np.linalg.norm(found - course, axis=-1).mean(-1) * known
        turned = np.linalg.norm(found[:, :, ::-1] - course, axis=-1).mean(-1) * known
        gains += as_is - turned
        least = _LEAST_TORSOS * torso[person] * known.sum(1)
        good &= (turned.sum(1) < _CLEARLY * as_is.sum(1)) & (as_is.sum(1) - turned.sum(1) > least)
    good &= (gains > -_AGAINST_TORSOS * count * torso[person][:, None]).all(1)
    gain = gains.sum(1)
    for row in np.flatnonzero(good):
        yield int(person[row]), int(before[row]), -float(gain[row]), count
