"""Tracking people through a clip, choosing a person, and reporting who is seen when."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

import numpy as np

from ...errors import InputError
from ...types import PoseClip
from ..skeleton.stack import SLICES, boxes, stack, unstack

# Distances between skeletons are mean joint distances in units of the person's spread: the root
# mean square distance of the joints from their middle, about 0.28 of a standing person's height.
_GATE = 1.5  # farther than this from one frame to the next is another person
_GATE_PER_FRAME = 0.1  # added per missed frame: a quick walk at 30 frames per second
_RECENT_FRAMES = 15  # those missed for longer are matched only after all others
_SIZE_GATE = np.log(1.6)  # a person who returns has the same size within this factor
_BOX_WEIGHT, _SIZE_WEIGHT = 0.5, 0.5  # relative to the distance
_ALONE = _GATE + _BOX_WEIGHT  # cost of a new person, equal to the worst match that is allowed
_COAST_FRAMES = 8  # for how long a missed person is expected to keep moving
_MIN_SPREAD = 0.02  # of the canvas's longer side; for people with few points


@dataclass(frozen=True, kw_only=True)
class Person:
    """When and how large one person is seen."""

    frames_seen: int
    first: int | None  # frame; None: never seen
    last: int | None
    box: tuple[float, float, float, float] | None  # median left, top, right, bottom in pixels


@dataclass(frozen=True, kw_only=True)
class PeopleReport:
    """Which people a clip shows, and when."""

    frames: int
    people: tuple[Person, ...]
    empty_frames: tuple[int, ...]  # frames without a person

    def text(self) -> str:
        """Return the report as text, one line per person."""
        lines = [f"{len(self.people)} people in {self.frames} frames"]
        for index, person in enumerate(self.people):
            if person.box is None:
                lines.append(f"person {index}: never seen")
                continue
            left, top, right, bottom = person.box
            lines.append(
                f"person {index}: {person.frames_seen} frames from {person.first} to "
                f"{person.last}, {right - left:.0f} x {bottom - top:.0f} px at "
                f"({left:.0f}, {top:.0f})"
            )
        if self.empty_frames:
            lines.append(
                f"no person in {len(self.empty_frames)} frames: {_runs(self.empty_frames)}"
            )
        return "\n".join(lines)


def track(clip: PoseClip) -> PoseClip:
    """Return the same points with people reordered, so that index p is one person throughout.

    Indices, also called slots, follow the order of appearance. There may be more slots than there
    are people in any one frame. A person who disappears keeps the slot if the skeleton returns at
    a plausible place and size. A clip that never shows two people at once has one slot, even
    across cuts. People without a visible point are left out.
    """
    points = stack(clip)
    present = points.present
    slots = np.zeros(present.shape, int)
    if present.sum(1).max(initial=0) > 1:
        slots = _slots(clip, *_signatures(points.xy, points.seen), present)
    people = int(slots[present].max(initial=-1)) + 1
    frames, old = np.nonzero(present)
    new = slots[frames, old]
    ordered = []
    for values in (points.xy, points.confidence, points.flags):
        result = np.zeros((len(clip), people, *values.shape[2:]), values.dtype)
        result[frames, new] = values[frames, old]
        ordered.append(result)
    return unstack(clip, *ordered)


def choose(clip: PoseClip, person: Literal["largest", "all"] | int) -> PoseClip:
    """Return the clip with one person only, or unchanged for "all".

    "largest" is the person with the largest product of median box area and number of frames in
    which the person is seen. A clip without people is returned unchanged for "largest". A number
    is an index of people, so call `track` first.
    """
    points = stack(clip)
    people = points.seen.shape[1]
    if person == "all" or (person == "largest" and people == 0):
        return clip
    if person == "largest":
        person = int(np.argmax(_pixels(boxes(points.xy, points.seen))))
    if not isinstance(person, int | np.integer):
        raise InputError(
            f'person got {person!r}; it must be "largest", "all" or a number from 0. Choose one.'
        )
    if not 0 <= person < people:
        way_out = f"Choose 0 to {people - 1}" if people else "Use another clip"
        raise InputError(
            f"person got {person}; the clip has {people} people, counted from 0. {way_out}."
        )
    one = slice(person, person + 1)
    return unstack(clip, points.xy[:, one], points.confidence[:, one], points.flags[:, one])


def describe(clip: PoseClip) -> PeopleReport:
    """Report when and how large each person of a clip is seen, and which frames are empty."""
    points = stack(clip)
    present = points.present
    around = boxes(points.xy, points.seen)
    people = []
    for person in range(present.shape[1]):
        frames = np.flatnonzero(present[:, person])
        if not len(frames):
            people.append(Person(frames_seen=0, first=None, last=None, box=None))
            continue
        left, top, right, bottom = np.median(around[frames, person], axis=0).tolist()
        people.append(
            Person(
                frames_seen=len(frames),
                first=int(frames[0]),
                last=int(frames[-1]),
                box=(left, top, right, bottom),
            )
        )
    empty = tuple(np.flatnonzero(~present.any(1)).tolist())
    return PeopleReport(frames=len(clip), people=tuple(people), empty_frames=empty)


def _pixels(around: np.ndarray) -> np.ndarray:  # (f, p, 4) -> (p,)
    """Return the median box area over the frames seen, times the number of these frames."""
    areas = (around[..., 2:] - around[..., :2]).prod(-1)
    present = np.isfinite(areas)
    medians = [np.median(a[p]) if p.any() else 0.0 for a, p in zip(areas.T, present.T, strict=True)]
    return np.array(medians) * present.sum(0)


def _runs(frames: Iterable[int]) -> str:
    """Write 0, 1, 2, 5 as 0-2, 5."""
    texts = []
    for _, group in groupby(enumerate(frames), key=lambda pair: pair[1] - pair[0]):
        run = [frame for _, frame in group]
        texts.append(f"{run[0]}-{run[-1]}" if len(run) > 1 else f"{run[0]}")
    return ", ".join(texts)


def _signatures(xy: np.ndarray, seen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Reduce every person to 22 points: the body, and the centres of hands, face and feet."""
    middles, there = [xy[:, :, SLICES["body"]]], [seen[:, :, SLICES["body"]]]
    for part, where in SLICES.items():
        if part != "body":
            mask = seen[:, :, where]
            count = mask.sum(-1, keepdims=True)
            total = np.where(mask[..., None], xy[:, :, where], 0.0).sum(-2, keepdims=True)
            middles.append(total / np.maximum(count, 1)[..., None])
            there.append(count > 0)
    return np.concatenate(middles, 2), np.concatenate(there, 2)


@dataclass
class _Tracks:
    """The state of the n people found so far."""

    xy: np.ndarray  # (n, 22, 2): where each point was last, carried along while unseen
    known: np.ndarray  # (n, 22): seen at least once
    velocity: np.ndarray  # (n, 2), pixels per frame
    box: np.ndarray  # (n, 4)
    last: np.ndarray  # (n,), frame

    def add(self, frame: int, xy: np.ndarray, seen: np.ndarray, box: np.ndarray) -> None:
        """Add a new person."""
        self.xy = np.concatenate([self.xy, xy[None]])
        self.known = np.concatenate([self.known, seen[None]])
        self.velocity = np.concatenate([self.velocity, np.zeros((1, 2))])
        self.box = np.concatenate([self.box, box[None]])
        self.last = np.append(self.last, frame)

    def update(self, n: int, frame: int, xy: np.ndarray, seen: np.ndarray, box: np.ndarray) -> None:
        """Update person n with a new detection."""
        shared = self.known[n] & seen
        before = self.xy[n][shared] if shared.any() else self.box[n].reshape(2, 2)
        after = xy[shared] if shared.any() else box.reshape(2, 2)
        moved = (after - before).mean(0)
        gap = frame - self.last[n]
        # After a long absence, the distance says nothing about the speed.
        speed = moved / gap if gap <= _COAST_FRAMES else np.zeros(2)
        self.velocity[n] = 0.5 * self.velocity[n] + 0.5 * speed
        self.xy[n] = np.where(seen[:, None], xy, self.xy[n] + moved)
        self.known[n] |= seen
        self.box[n] = box
        self.last[n] = frame


def _slots(
    clip: PoseClip,
    xy: np.ndarray,  # (f, p, 22, 2)
    seen: np.ndarray,  # (f, p, 22)
    present: np.ndarray,  # (f, p)
) -> np.ndarray:  # (f, p), slot of each detection
    """Assign each detection to a slot, frame by frame."""
    unit = _MIN_SPREAD * max(clip.canvas.width, clip.canvas.height)
    # No more slots than this are created, so that noise cannot fill the memory.
    most = max(16, 4 * present.shape[1])
    around = boxes(xy, seen)
    slots = np.zeros(present.shape, int)
    joints = xy.shape[2]
    tracks = _Tracks(
        xy=np.zeros((0, joints, 2)),
        known=np.zeros((0, joints), bool),
        velocity=np.zeros((0, 2)),
        box=np.zeros((0, 4)),
        last=np.zeros(0, int),
    )
    for frame in np.flatnonzero(present.any(1)):
        found = np.flatnonzero(present[frame])
        people = xy[frame, found], seen[frame, found], around[frame, found]
        owners = _owners(tracks, int(frame), *people, unit, full=len(tracks.last) >= most)
        for owner, slot, *person in zip(owners, found, *people, strict=True):
            if owner < 0:
                tracks.add(int(frame), *person)
            else:
                tracks.update(owner, int(frame), *person)
            slots[frame, slot] = len(tracks.last) - 1 if owner < 0 else owner
    return slots


def _owners(
    tracks: _Tracks,
    frame: int,
    xy: np.ndarray,  # (m, 22, 2)
    seen: np.ndarray,  # (m, 22)
    box: np.ndarray,  # (m, 4)
    unit: float,  # least spread in pixels
    *,
    full: bool,  # take the nearest slot at any distance, instead of a new one
) -> list[int]:  # m tracks, -1 for a new person
    """Match the people of a frame to tracks: first to recently seen ones, then to others."""
    owners = [-1] * len(xy)
    gaps = frame - tracks.last
    if not len(gaps):
        return owners
    distance, size, overlap = _compare(tracks, gaps, xy, seen, box, unit)
    gate = 1 + _GATE_PER_FRAME / _GATE * (gaps[:, None] - 1)
    distance = distance / gate
    cost = distance + _SIZE_WEIGHT * size + _BOX_WEIGHT * (1 - overlap)
    recent = gaps <= _RECENT_FRAMES
    allowed = (distance <= _GATE) & (recent[:, None] | (size <= _SIZE_GATE))
    cost = np.where(allowed, np.minimum(cost, 0.99 * _ALONE), np.inf)
    stages = [(recent, cost), (~recent, cost)]
    if full:
        stages.append((np.ones(len(gaps), bool), distance / (1 + distance)))
    free = np.ones(len(gaps), bool)
    for rows, costs in stages:
        lines = np.flatnonzero(rows & free)
        columns = np.flatnonzero(np.array(owners) < 0)
        for line, column in assign(costs[np.ix_(lines, columns)], _ALONE):
            owners[columns[column]] = int(lines[line])
            free[lines[line]] = False
    return owners


def assign(
    cost: np.ndarray,  # (n, m), at least 0; infinite where a pair is forbidden
    alone: float,  # cost of an entry without a partner; pairs of this cost or more are not made
) -> list[tuple[int, int]]:
    """Return the pairs (row, column) with the least total cost, sorted by row."""
    from scipy.optimize import linear_sum_assignment  # takes a while to import

    # A pair of cost `alone` is dropped below, so it can stand in for forbidden pairs.
    rows, columns = linear_sum_assignment(np.minimum(cost, alone))
    pairs = zip(rows.tolist(), columns.tolist(), strict=True)
    return [pair for pair in pairs if cost[pair] < alone]


def _compare(
    tracks: _Tracks,
    gaps: np.ndarray,  # (n,), frames since last seen
    xy: np.ndarray,
    seen: np.ndarray,
    box: np.ndarray,
    unit: float,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # (n, m) each
    """Distance in spreads, |log size ratio|, and overlap of the boxes of n tracks and m people."""
    step = tracks.velocity * np.minimum(gaps, _COAST_FRAMES)[:, None]
    expected, found = (tracks.xy + step[:, None])[:, None], xy[None]
    shared = tracks.known[:, None] & seen[None]
    weight = shared / np.maximum(shared.sum(-1, keepdims=True), 1)
    spread_a, spread_b = (_spread(points, weight) for points in (expected, found))
    scale = np.maximum(np.maximum(spread_a, spread_b), unit)
    moved_box = tracks.box + np.tile(step, 2)
    middle_a, middle_b = ((b[:, :2] + b[:, 2:]) / 2 for b in (moved_box, box))
    of_boxes = np.linalg.norm(middle_a[:, None] - middle_b[None], axis=-1)
    of_joints = (np.linalg.norm(expected - found, axis=-1) * weight).sum(-1)
    distance = np.where(shared.any(-1), of_joints, of_boxes) / scale
    size = np.abs(np.log(np.maximum(spread_a, unit) / np.maximum(spread_b, unit)))
    return distance, size, _overlap(moved_box, box)


def _spread(points: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Weighted root mean square distance from the middle: (..., j, 2) and (..., j) -> (...)."""
    middle = (points * weight[..., None]).sum(-2, keepdims=True)
    return np.sqrt((((points - middle) ** 2).sum(-1) * weight).sum(-1))


def _overlap(a: np.ndarray, b: np.ndarray) -> np.ndarray:  # (n, 4), (m, 4) -> (n, m)
    """Intersection over union; 0 where both boxes are empty."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    common = np.maximum(high - low, 0).prod(-1)
    area_a, area_b = ((box[:, 2:] - box[:, :2]).prod(-1) for box in (a, b))
    union = area_a[:, None] + area_b[None] - common
    return common / np.where(union > 0, union, 1)
