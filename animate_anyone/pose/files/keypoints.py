"""Reading keypoints of all makers; see `dialects` for the formats, `writing` for our own files.

The steps are: a maker's format to frames of people, layouts to the parts of this project, units
to pixels of the first canvas, and people in one order. Whatever had to be assumed is a note.
"""

import logging
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from ...errors import InputError
from ...types import DEFAULT_FPS, Points, PoseClip, Size
from ..skeleton.joints import PART_JOINTS
from .bodies import Parts, parts_of
from .canvas import canvases_of, check_canvas, onto_first
from .dialects import source_of
from .folders import load_folder, load_json
from .order import Slots, followed, numbered
from .plausible import check_boxes, check_people
from .records import Frame, Source, Speed
from .units import Tables, to_pixels
from .writing import SCORES, restore, to_keypoints, with_flags, write_keypoints

__all__ = [
    "Reading",
    "parse_keypoints",
    "parse_with_notes",
    "read_keypoints",
    "read_with_notes",
    "to_keypoints",
    "write_keypoints",
]

MOST_PLACES = 400_000  # frames times people: about 1.3 GB; over three hours of one person

_USUAL = "POSE_KEYPOINT"
_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Reading:
    """A clip that was read, and what a user should know about how."""

    clip: PoseClip
    notes: tuple[str, ...]  # what was assumed: format, layout, units, canvas, people, skipped files
    speed: Speed | None = None  # None: the file says nothing of it

    @property
    def fps(self) -> Fraction:
        """Return the speed of the clip in frames per second; the usual one if the file has none."""
        return DEFAULT_FPS if self.speed is None else self.speed.fps

    def speed_line(
        self,
        chosen: Fraction | None = None,  # frames per second that a user chose instead
        option: str = "--fps",  # the name under which they were chosen
    ) -> str:
        """Return the speed at which the clip is shown, and where it comes from, for a report."""
        own = "the file names no speed"
        if self.speed is not None:
            own = f"{float(self.speed.fps):.5g} {self.speed.told}"
        if chosen is not None:
            instead = own if self.speed is None else f"instead of {own}"
            return f"{float(chosen):.5g} frames per second, as {option} says; {instead}"
        if self.speed is None:
            return f"{float(self.fps):.5g} frames per second, assumed; {own}"
        return f"{float(self.fps):.5g} frames per second, {self.speed.told}"

    def lines(self, name: str = "keypoints") -> tuple[str, ...]:
        """Return the notes as lines of a report that begin with a name."""
        return tuple(f"{name}: {note}" for note in self.notes)


def parse_keypoints(
    value: object,  # POSE_KEYPOINT: a list of frame records, or one such record
    canvas: Size | None = None,  # for frames that do not name one
) -> PoseClip:
    """Return the clip of a POSE_KEYPOINT value or of another maker's; notes are logged.

    See `parse_with_notes`.
    """
    return _logged(parse_with_notes(value, canvas), "keypoints")


def read_keypoints(path: Path | str, canvas: Size | None = None) -> PoseClip:
    """Return the clip of a JSON file, or of a folder with one JSON file per frame; logs the notes.

    OpenPose writes such folders. Its files do not name the canvas, so pass its size.
    """
    return _logged(read_with_notes(path, canvas), str(path))


def parse_with_notes(
    value: object,  # POSE_KEYPOINT, or the JSON value of another maker's file
    canvas: Size | None = None,  # for frames that do not name one
) -> Reading:
    """Return the clip of keypoints written by any known maker, with notes on what was assumed.

    Absent parts, NaN, (-1, -1) and confidence 0 become missing points. Frames with another canvas
    are fitted into the first frame's canvas. Person p is one person throughout: by the file's own
    numbers, else followed by place; in files of this pack it is entry p of every frame's list.
    InputError for what is not understood, with what is known.
    """
    return _read(value, canvas, [], "--canvas")


def read_with_notes(
    path: Path | str,
    canvas: Size | None = None,  # for frames that do not name one
    option: str = "--canvas",  # the option of a command for it, for messages
) -> Reading:
    """Return the clip of a JSON file or of a folder of frames, with notes on what was assumed.

    Frames of a folder come in the natural order of their names: frame2 before frame10.
    """
    path, notes = Path(path), []
    if path.is_dir():
        value, notes = load_folder(path)
    else:
        value = load_json(path)
    try:
        return _read(value, canvas, notes, option)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def _read(value: object, canvas: Size | None, notes: list[str], option: str) -> Reading:
    source = source_of(value)
    if source.kind != _USUAL:
        source.notes.insert(0, f"read as: {source.kind}")
    source.notes[:0] = notes
    _check_places(len(source.frames), max(len(frame.people) for frame in source.frames))
    canvases = canvases_of(source.frames, canvas, source.notes, option)
    people = parts_of(source)
    own = [_is_own(frame) for frame in source.frames]
    slots = None if all(own) else numbered(source)
    places = slots or [list(range(len(frame.people))) for frame in source.frames]
    tables = _gathered(people, places)
    _restore(tables, source, places)
    if not all(own):
        declared = np.array([frame.fractions for frame in source.frames])
        to_pixels(tables, canvases, declared, np.array(own), source.notes)
    check_canvas(tables, canvases, source.notes)
    check_boxes(tables, places, source.frames, canvases, source.notes)
    onto_first(tables, canvases)
    points = {
        part: Points(xy=np.ascontiguousarray(table[..., :2]), confidence=table[..., 2].copy())
        for part, table in tables.items()
    }
    points = with_flags(points, source.frames, places)
    clip = PoseClip(canvas=canvases[0], **points)
    if not all(own) and slots is None:
        clip = followed(clip, source.frames, source.notes)
    check_people(clip, source.notes)
    every = tuple(dict.fromkeys(source.notes))
    return Reading(clip=clip, notes=every, speed=source.speed)


def _is_own(frame: Frame) -> bool:
    """Return whether this pack wrote a frame: in pixels, and everybody at the same place.

    Frames without people are of no maker. A frame in which somebody was added is not this pack's.
    """
    return all(SCORES in person for person in frame.people)


def _check_places(frames: int, people: int) -> None:
    """Raise for more people than a clip can have, before memory is reserved for them."""
    if frames * people > MOST_PLACES:
        raise InputError(
            f"keypoints got {frames:,} frames with up to {people:,} people; frames times people "
            f"may be {MOST_PLACES:,}. Export a shorter clip, or fewer people."
        )


def _gathered(people: list[list[Parts]], places: Slots) -> Tables:
    """Collect all people in arrays (f, p, j, 3), still in the units of the file."""
    count = 1 + max(max(frame, default=-1) for frame in places)
    _check_places(len(people), count)
    tables = {part: np.zeros((len(people), count, n, 3)) for part, n in PART_JOINTS.items()}
    for frame, parts in enumerate(people):
        for index, person in enumerate(parts):
            for part, triples in person.items():
                tables[part][frame, places[frame][index]] = triples
    return tables


def _restore(tables: Tables, source: Source, places: Slots) -> None:
    """Restore what this pack's extra fields hold, in place."""
    for index, frame in enumerate(source.frames):
        for slot, person in zip(places[index], frame.people, strict=True):
            if SCORES in person:
                own = {part: table[index, slot] for part, table in tables.items()}
                restore(own, person, index)


def _logged(reading: Reading, name: str) -> PoseClip:
    for note in reading.notes:
        _log.warning("%s: %s", name, note)
    return reading.clip
