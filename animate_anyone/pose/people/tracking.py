"""Tracking people through a clip, choosing a person, and reporting who is seen when."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np

from ...errors import InputError
from ...names.some import ranges
from ...types import DEFAULT_FPS, Points, PoseClip
from ..skeleton.joints import VISIBLE
from ..skeleton.stack import SLICES, boxes, stack, unstack
from .matching import FORGET_SECONDS, Followed, Sightings

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
                f"no person in {len(self.empty_frames)} frames: {ranges(self.empty_frames)}"
            )
        return "\n".join(lines)


@dataclass(frozen=True, kw_only=True)
class Following:
    """A clip in which index p is one person throughout, and how sure that is."""

    clip: PoseClip
    forgotten: int  # people who were not seen for so long that they would not be recognised
    fps: float  # frames per second by which absences were measured
    shared: int  # the last indices, of brief sightings of more people than have an index

    def notes(self) -> tuple[str, ...]:
        """Return lines for a report, about people who may have several numbers or share one."""
        notes = []
        if self.forgotten:
            notes.append(
                f"following: {self.forgotten} times a person was not seen for more than "
                f"{FORGET_SECONDS:g} seconds ({FORGET_SECONDS * self.fps:.0f} frames); whoever "
                f"came later is counted as somebody new"
            )
        if self.shared:
            last = self.clip.body.xy.shape[1] - 1
            numbers = f"{last}" if self.shared == 1 else f"{last - self.shared + 1} to {last}"
            notes.append(
                f"following: too many people to give each a number; {numbers} are brief "
                f"sightings of different people"
            )
        return tuple(notes)


def track(
    clip: PoseClip,
    fps: float = float(DEFAULT_FPS),
    colours: np.ndarray | None = None,  # (f, p, 3)
) -> PoseClip:
    """Return the clip of `follow_people`."""
    return follow_people(clip, fps, colours).clip


def follow_people(
    clip: PoseClip,
    fps: float = float(DEFAULT_FPS),  # frames per second
    colours: np.ndarray | None = None,  # (f, p, 3), CIELAB of clothes, NaN: not known; None: none
) -> Following:
    """Return the same points with people reordered, so that index p is one person throughout.

    Indices, also called slots, follow the order of appearance. There may be more slots than there
    are people in any one frame. A person who disappears keeps the slot if the skeleton returns
    within 3 seconds, at a plausible place and size and in the same clothes, as far as their
    colours are known. A person who stays away for longer is forgotten, and is somebody new on
    return: who comes after so long is more often somebody else. A clip that never shows two
    people at once has one slot, even across cuts. People without a visible point are left out.
    """
    parts = {part: _finite(getattr(clip, part)) for part in SLICES}
    seen = {part: points.confidence >= VISIBLE for part, points in parts.items()}
    present = np.logical_or.reduce([there.any(-1) for there in seen.values()])
    slots, forgotten, shared = np.zeros(present.shape, int), 0, 0
    if present.sum(1).max(initial=0) > 1:
        middles = _signatures(parts, seen)
        slots, forgotten = _slots(clip, *middles, present, fps, colours)
        slots, shared = _limited(slots, present)
    people = int(slots[present].max(initial=-1)) + 1
    frames, old = np.nonzero(present)
    new = slots[frames, old]

    def ordered(values: np.ndarray) -> np.ndarray:
        shape = len(clip), people, *values.shape[2:]
        result = np.zeros(shape, values.dtype)
        if values.any():  # memory that is never written to takes neither time nor space
            rows = values.reshape(-1, *values.shape[2:])
            result.reshape(-1, *values.shape[2:])[frames * people + new] = rows[
                frames * values.shape[1] + old
            ]
        return result

    for part, points in parts.items():
        flags = points.flags
        parts[part] = Points(
            xy=ordered(points.xy),
            confidence=ordered(points.confidence),
            flags=None if flags is None or not flags.any() else ordered(flags.astype(np.uint8)),
        )
    return Following(
        clip=PoseClip(canvas=clip.canvas, **parts), forgotten=forgotten, fps=fps, shared=shared
    )


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


def _finite(points: Points) -> Points:
    """Return the points in float64; those that are not finite become missing."""
    xy, confidence = np.asarray(points.xy, float), np.asarray(points.confidence, float)
    if not (np.isfinite(xy).all() and np.isfinite(confidence).all()):
        finite = np.isfinite(xy).all(-1) & np.isfinite(confidence)
        xy, confidence = np.where(finite[..., None], xy, 0.0), np.where(finite, confidence, 0.0)
    return Points(xy=xy, confidence=confidence, flags=points.flags)


def _signatures(
    parts: Mapping[str, Points],
    seen: Mapping[str, np.ndarray],  # (f, p, j)
) -> tuple[np.ndarray, np.ndarray]:  # (f, p, 22, 2), (f, p, 22)
    """Reduce every person to 22 points: the body, and the centres of hands, face and feet."""
    middles, there = [parts["body"].xy], [seen["body"]]
    for part, mask in seen.items():
        if part == "body":
            continue
        count = np.count_nonzero(mask, axis=-1)[..., None]
        total = np.zeros((*count.shape[:2], 2))
        if count.any():
            total = np.einsum("fpjx,fpj->fpx", parts[part].xy, mask)
        middles.append((total / np.maximum(count, 1))[:, :, None])
        there.append(count > 0)
    return np.concatenate(middles, 2), np.concatenate(there, 2)


def _slots(
    clip: PoseClip,
    xy: np.ndarray,  # (f, p, 22, 2)
    seen: np.ndarray,  # (f, p, 22)
    present: np.ndarray,  # (f, p)
    fps: float,
    colours: np.ndarray | None,  # (f, p, 3)
) -> tuple[np.ndarray, int]:  # (f, p), the number of each person; how many were forgotten
    """Number the people, frame by frame."""
    frames, old = np.nonzero(present)
    where = frames, old
    everybody = Sightings(
        xy=xy[where],
        seen=seen[where],
        box=boxes(xy[where], seen[where]),
        colour=None if colours is None else colours[where],
    )
    followed = Followed(_MIN_SPREAD * max(clip.canvas.width, clip.canvas.height))
    numbers = np.zeros(len(frames), int)
    starts = np.flatnonzero(np.diff(frames, prepend=-1)).tolist()
    for start, end in pairwise([*starts, len(frames)]):
        rows = slice(start, end)
        numbers[rows] = followed.assign(int(frames[start]) / fps, everybody[rows])
    slots = np.zeros(present.shape, int)
    slots[where] = numbers
    return slots, followed.forgotten


def _limited(
    slots: np.ndarray,  # (f, p)
    present: np.ndarray,  # (f, p)
) -> tuple[np.ndarray, int]:  # (f, p), slots that are shared
    """Let the briefest people share slots at the end, so that noise cannot fill the memory."""
    seen = np.bincount(slots[present])
    most = max(16, 4 * present.shape[1])
    if len(seen) <= most:
        return slots, 0
    own = np.sort(np.argsort(-seen, kind="stable")[:most])
    new = np.full(len(seen), -1)
    new[own] = np.arange(most)
    result = new[slots]
    rest = (result < 0) & present
    result[rest] = (most + rest.cumsum(1) - 1)[rest]
    return result, int(rest.sum(1).max())
