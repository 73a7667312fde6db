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
_LOST_TORSOS = 0.2  # what a point that is lost or found costs, as a distance
_REACH = 4  # frames beside an exchange in which a point may be seen first
_STRAY_TORSOS = 0.25  # farther from both courses a point says nothing
_WILD_TORSOS = 0.5  # a step that differs so much from the others is an error, not a speed
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
    their own course, so they stay. A point tells this too if that of the other side is not seen, as
    a knee at the edge of the picture. At fewer than 24 frames per second, where half a turn takes
    few frames, only shorter exchanges are put back, and only pairs count. The points get the flag
    SWAPPED.
    """
    if len(clip) < 3:
        return clip
    points = stack(clip)
    torso = torso_px(clip, points)
    most = min(MOST_FRAMES, max(1, int(MOST_SECONDS * fps)))
    longest, alone = min(most, len(clip) - 2), most == MOST_FRAMES
    for group in _GROUPS:
        for _ in range(_PASSES):
            runs = sorted(_runs(points, torso, np.array(group), longest, alone))
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
    alone: bool,  # a point tells something without that of the other side
) -> Iterator[_Run]:
    """Yield the runs of frames in which a part is exchanged."""
    seen = np.asarray(points.seen[:, :, group])  # (f, p, k, 2)
    if not alone:
        seen = np.repeat(seen.all(-1, keepdims=True), 2, -1)
    if not seen.any():
        return
    xy = np.where(seen[..., None], points.xy[:, :, group], 0)  # (f, p, k, 2, 2)
    # Where an exchange begins and ends, the step to the other side is the shorter one.
    lost = _LOST_TORSOS * torso[:, None]
    same = _steps(xy, seen, xy, seen, lost)
    cross = _steps(xy, seen, xy[:, :, :, ::-1], seen[..., ::-1], lost)
    jumps = cross < same  # (f - 1, p)
    for count in range(1, longest + 1):
        before, person = np.nonzero(jumps[:-count] & jumps[count:])
        if len(before):
            yield from _exchanged(xy, seen, torso, before, person, count, _REACH if alone else 1)


def _steps(
    xy: np.ndarray,  # (f, p, k, 2, 2)
    seen: np.ndarray,  # (f, p, k, 2)
    other_xy: np.ndarray,
    other_seen: np.ndarray,
    lost: np.ndarray,  # (p, 1), pixels
) -> np.ndarray:  # (f - 1, p)
    """Return how far all points move from frame to frame.

    A point that is lost or found counts as `lost`.
    """
    one, two = seen[:-1], other_seen[1:]
    step = np.linalg.norm(other_xy[1:] - xy[:-1], axis=-1)
    return np.where(one & two, step, np.where(one ^ two, lost[..., None], 0)).sum((-1, -2))


def _exchanged(
    xy: np.ndarray,  # (f, p, k, 2, 2)
    seen: np.ndarray,  # (f, p, k, 2)
    torso: np.ndarray,  # (p,)
    before: np.ndarray,  # (n,), frames before the candidates
    person: np.ndarray,  # (n,)
    count: int,  # frames of a candidate
    reach: int,  # frames beside it in which a point may be seen first
) -> Iterator[_Run]:
    """Yield the candidates that lie much nearer to the course of the other side."""
    starts, ends, known = _sightings(seen, before, person, count, reach)
    pairs, sides = np.ogrid[: xy.shape[2], :2]
    people = person[:, None, None]

    def place(frame: np.ndarray) -> np.ndarray:
        return xy[frame, people, pairs, sides]

    start, end = place(starts), place(ends)  # (n, k, 2, 2)
    lasts = np.where(known, ends - starts, 1)[..., None]  # frames from sighting to sighting
    straight = (end - start) / lasts

    wild = _WILD_TORSOS * torso[person][:, None, None]

    def speed(frame: np.ndarray, sign: int) -> np.ndarray:
        outer = frame - sign
        inside = (outer >= 0) & (outer < len(xy))
        outer = outer.clip(0, len(xy) - 1)
        there = seen[outer, people, pairs, sides] & inside
        step = sign * (place(frame) - place(outer))
        there &= np.linalg.norm(step - straight, axis=-1) < wild
        return np.where(there[..., None], step, straight)

    first, final = speed(starts, 1), speed(ends, -1)
    lost = _LOST_TORSOS * torso[person][:, None, None]
    stray_px = _STRAY_TORSOS * torso[person][:, None]
    # A point that is seen on one side of a candidate only has a place, but no course.
    once = np.where((starts >= 0)[..., None], start, end)
    once[(starts < 0) & (ends < 0)] = np.inf
    good = np.ones(len(before), bool)
    gains = np.zeros(start.shape[:2])  # (n, k), pixels
    for step in range(1, count + 1):
        u = ((before + step)[:, None, None] - starts)[..., None] / lasts
        course = (1 + 2 * u) * (1 - u) ** 2 * start + u * u * (3 - 2 * u) * end
        course = course + lasts * (u * (1 - u) ** 2 * first - u * u * (1 - u) * final)
        found, there = xy[before + step, person], seen[before + step, person]
        course = np.where(known[..., None], course, once)
        as_is = _off(found, there, course, known, lost)
        turned = _off(found[:, :, ::-1], there[..., ::-1], course, known, lost)
        nowhere = ~(there[..., ::-1] & known).any(-1)  # exchanged, no point is on a known course
        turned = np.where(nowhere, np.maximum(turned, as_is), turned)
        stray = np.minimum(as_is, turned) > stray_px
        as_is, turned = np.where(stray, 0, as_is), np.where(stray, 0, turned)
        gains += as_is - turned
        told = (there.any(-1) & known.any(-1)).sum(1)
        least = _LEAST_TORSOS * torso[person] * told
        good &= (turned.sum(1) < _CLEARLY * as_is.sum(1)) & (as_is.sum(1) - turned.sum(1) > least)
    good &= (gains > -_AGAINST_TORSOS * count * torso[person][:, None]).all(1)
    gain = gains.sum(1)
    for row in np.flatnonzero(good):
        yield int(person[row]), int(before[row]), -float(gain[row]), count


def _sightings(
    seen: np.ndarray,  # (f, p, k, 2)
    before: np.ndarray,  # (n,), frames before the candidates
    person: np.ndarray,  # (n,)
    count: int,  # frames of a candidate
    reach: int,  # frames beside it in which a point may be seen first
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # (n, k, 2)
    """Return the last frame that shows each point before a candidate, the first one after it.

    The third array says where there are both, within a few frames.
    """
    starts = np.full((len(before), *seen.shape[2:]), -1)
    ends = starts.copy()
    for away in range(reach):
        for frame, sightings in ((before - away, starts), (before + count + 1 + away, ends)):
            inside = (frame >= 0) & (frame < len(seen))
            there = seen[frame.clip(0, len(seen) - 1), person] & inside[:, None, None]
            np.copyto(sightings, frame[:, None, None], where=there & (sightings < 0))
    return starts, ends, (starts >= 0) & (ends >= 0)


def _off(
    found: np.ndarray,  # (n, k, 2, 2)
    there: np.ndarray,  # (n, k, 2), whether they are seen
    course: np.ndarray,  # (n, k, 2, 2)
    known: np.ndarray,  # (n, k, 2), whether there is a course
    lost: np.ndarray,  # (n, 1, 1), pixels
) -> np.ndarray:  # (n, k), pixels
    """Return how far pairs of points lie from their courses, on average of both sides.

    A point without a course costs `lost` if the course of its other side is left empty.
    """
    far = np.linalg.norm(found - course, axis=-1)
    strange = there & ~known & known[..., ::-1] & ~there[..., ::-1]
    return np.where(there & known, far, np.where(strange, np.minimum(far, lost), 0)).mean(-1)
