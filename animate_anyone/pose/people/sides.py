"""Putting back left and right where an estimator exchanged them for a few frames."""

from collections.abc import Iterator

import numpy as np

from ...types import DEFAULT_FPS, Flag, PoseClip
from ..skeleton.stack import HIPS, SLICES, Stack, stack, torso_px, unstack

# A longer exchange may be a person who turned round.
MOST_FRAMES, MOST_SECONDS = 4, 0.17
_CLEARLY = 0.5  # largest error with exchanged sides, relative to the error as they are
_LEAST_TORSOS = 0.02  # least difference of these errors; smaller ones are noise
_LEAST_TOLD = 1.5  # pairs that this counts for, as the noise of a single one is larger
_AGAINST_TORSOS = 0.05  # this difference in favour of one pair as it is leaves all as they are
_LOST_TORSOS = 0.2  # what a point that is lost or found costs, as a distance
# Where knees and ankles usually are below their hip: time on either side of an exchange, least
# sightings in it, and most change of the line of the hips, as a share of its length.
_USUAL_SECONDS, _USUAL_LEAST, _SAME_HIPS = 0.5, 5, 0.5
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
    a knee at the edge of the picture. Knees and ankles that come and go are also compared with
    where they are below either hip in the half second before and after. At fewer than 24 frames
    per second, where half a turn takes few frames, only shorter exchanges are put back, and only
    pairs count. The points get the flag SWAPPED.
    """
    if len(clip) < 3:
        return clip
    points = stack(clip)
    torso = torso_px(clip, points)
    most = min(MOST_FRAMES, max(1, int(MOST_SECONDS * fps)))
    longest, alone = min(most, len(clip) - 2), most == MOST_FRAMES
    around = int(_USUAL_SECONDS * fps) if alone else 0
    for group in _GROUPS:
        for _ in range(_PASSES):
            runs = sorted(_runs(points, torso, np.array(group), longest, around))
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
    around: int,  # frames in which a point has a usual place; 0: only pairs tell something
) -> Iterator[_Run]:
    """Yield the runs of frames in which a part is exchanged."""
    seen = np.asarray(points.seen[:, :, group])  # (f, p, k, 2)
    if not around:
        seen = np.repeat(seen.all(-1, keepdims=True), 2, -1)
    if not seen.any():
        return
    xy = np.where(seen[..., None], points.xy[:, :, group], 0)  # (f, p, k, 2, 2)
    # Where an exchange begins and ends, the step to the other side is the shorter one.
    lost = _LOST_TORSOS * torso[:, None]
    same = _steps(xy, seen, xy, seen, lost)
    cross = _steps(xy, seen, xy[:, :, :, ::-1], seen[..., ::-1], lost)
    jumps = cross <= same  # (f - 1, p); equal where points only come or go
    sure = cross < same
    shown = np.asarray(seen.any((-1, -2)))
    below_hips = set(group.ravel()) <= set(np.ravel(_LEGS[1:]))
    hips = points.xy[:, :, HIPS[::-1]], points.seen[:, :, HIPS[::-1]]
    for count in range(1, longest + 1):
        ends = shown[1 : len(shown) - count] & shown[count:-1]
        before, person = np.nonzero(jumps[:-count] & jumps[count:] & ends)
        if not len(before):
            continue
        usual = None
        if around and below_hips:
            usual = _usual(xy, seen, *hips, before, person, count, around)
        at_ends = sure[before, person] & sure[before + count, person]
        strange = np.where(at_ends, lost[person, 0], 0)
        reach = _REACH if around else 1
        yield from _exchanged(xy, seen, torso, before, person, count, reach, usual, strange)


def _steps(
    xy: np.ndarray,  # (f, p, k, 2, 2)
    seen: np.ndarray,  # (f, p, k, 2)
    other_xy: np.ndarray,
    other_seen: np.ndarray,
    lost: np.ndarray,  # (p, 1), pixels
) -> np.ndarray:  # (f - 1, p)
    """Return how far all points move from frame to frame.

    A point that is lost or found counts as `lost`, so no step counts more than both of these.
    """
    one, two, lost = seen[:-1], other_seen[1:], lost[..., None]
    step = np.minimum(np.linalg.norm(other_xy[1:] - xy[:-1], axis=-1), 2 * lost)
    return np.where(one & two, step, np.where(one ^ two, lost, 0)).sum((-1, -2))


def _exchanged(
    xy: np.ndarray,  # (f, p, k, 2, 2)
    seen: np.ndarray,  # (f, p, k, 2)
    torso: np.ndarray,  # (p,)
    before: np.ndarray,  # (n,), frames before the candidates
    person: np.ndarray,  # (n,)
    count: int,  # frames of a candidate
    reach: int,  # frames beside it in which a point may be seen first
    usual: np.ndarray | None,  # (n, count, k, 2, 2), usual places; infinite: not known
    lost: np.ndarray,  # (n,), pixels, what a point without a course costs
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
    lost = lost[:, None, None]
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
        courses = [np.where(known[..., None], course, np.inf)]
        if usual is not None:
            courses.append(usual[:, step - 1])
        places = np.stack(courses, axis=-2)  # (n, k, 2, m, 2)
        placed = np.asarray(np.isfinite(places[..., 0]).any(-1))
        as_is = _off(found, there, places, once, lost)
        turned = _off(found[:, :, ::-1], there[..., ::-1], places, None, lost)
        nowhere = ~(there[..., ::-1] & placed).any(-1)  # exchanged, no point is on a known course
        turned = np.where(nowhere, np.maximum(turned, as_is), turned)
        stray = np.minimum(as_is, turned) > stray_px
        as_is, turned = np.where(stray, 0, as_is), np.where(stray, 0, turned)
        gains += as_is - turned
        told = (there.any(-1) & placed.any(-1)).sum(1)
        least = _LEAST_TORSOS * torso[person] * np.maximum(told, _LEAST_TOLD)
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


def _usual(
    xy: np.ndarray,  # (f, p, k, 2, 2)
    seen: np.ndarray,  # (f, p, k, 2)
    hips: np.ndarray,  # (f, p, 2, 2), left and right
    hips_seen: np.ndarray,  # (f, p, 2)
    before: np.ndarray,  # (n,), frames before the candidates
    person: np.ndarray,  # (n,)
    count: int,  # frames of a candidate
    around: int,  # frames on either side
) -> np.ndarray:  # (n, count, k, 2, 2), pixels; infinite: not known
    """Return where points usually are below their hip, by the frames around each candidate."""
    steps = np.arange(around)
    frames = np.concatenate([before - steps[:, None], before + count + 1 + steps[:, None]])
    inside = (frames >= 0) & (frames < len(seen))
    frames = frames.clip(0, len(seen) - 1)
    # Of somebody who turns, only frames count in which the hips stand as they do now.
    now = before[:, None] + 1 + np.arange(count), person[:, None]
    line = np.diff(hips[now], axis=2)[:, :, 0].mean(1)  # (n, 2)
    then = np.diff(hips[frames, person], axis=2)[:, :, 0]  # (2 * around, n, 2)
    most = _SAME_HIPS * np.linalg.norm(line, axis=-1)
    alike = (np.linalg.norm(then - line, axis=-1) < most) & hips_seen[frames, person].all(-1)
    there = seen[frames, person] & (alike & inside)[..., None, None]
    away = xy[frames, person] - hips[frames, person][:, :, None]  # (2 * around, n, k, 2, 2)
    away = np.sort(np.where(there[..., None], away, np.inf), axis=0)
    sightings = there.sum(0)  # (n, k, 2)
    median = np.take_along_axis(away, np.maximum(sightings, 1)[None, ..., None] // 2, 0)[0]
    hips_known = np.asarray(hips_seen[now].all((1, 2)))
    known = (sightings >= _USUAL_LEAST) & hips_known[:, None, None]
    median = np.where(known[..., None], median, np.inf)
    # A side that is not seen is taken to hang as the other one does.
    median = np.where(known[..., None], median, median[:, :, ::-1])
    return hips[now][:, :, None] + median[:, None]


def _off(
    found: np.ndarray,  # (n, k, 2, 2)
    there: np.ndarray,  # (n, k, 2), whether they are seen
    places: np.ndarray,  # (n, k, 2, m, 2), where they may be, the course first; infinite: unknown
    once: np.ndarray | None,  # (n, k, 2, 2), the nearest sighting; infinite: none
    lost: np.ndarray,  # (n, 1, 1), pixels
) -> np.ndarray:  # (n, k), pixels
    """Return how far pairs of points lie from where they may be, on average of both sides.

    Of a pair that is seen whole what moves both points alike is left out, since it is the same
    with exchanged sides. A point without a place costs `lost` if that of its other side is left
    empty.
    """
    away = found[..., None, :] - places  # (n, k, 2, m, 2)
    far = np.linalg.norm(away, axis=-1).min(-1)
    if once is not None:
        far = np.minimum(far, np.linalg.norm(found - once, axis=-1))
    both = np.asarray(np.isfinite(places[..., 0]).all(2)) & there.all(-1, keepdims=True)
    away = np.where(both[:, :, None, :, None], away, 0)
    apart = np.linalg.norm(away[:, :, 1] - away[:, :, 0], axis=-1) / 2
    apart = np.where(both, apart, np.inf).min(-1)
    placed = np.asarray(np.isfinite(places[..., 0]).any(-1))
    strange = there & ~placed & placed[..., ::-1] & ~there[..., ::-1]
    off = np.where(there & placed, far, np.where(strange, np.minimum(far, lost), 0)).mean(-1)
    return np.where(np.isfinite(apart), apart, off)
