"""The formats of keypoint files: by what each is recognised, and how it becomes frames of people.

To add one, write an entry in RECORDS (the record of one frame) or in CLIPS (a whole file whose
frames are stored in another way). The first entry that knows a value reads it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ...errors import InputError
from . import clips
from .points import short
from .records import (
    Frame,
    Record,
    Source,
    canvas_in,
    checked_people,
    is_list,
    is_person,
    is_record,
    keys_of,
)
from .speed import speed_of


@dataclass(frozen=True, kw_only=True)
class RecordKind:
    """How the record of one frame is recognised and read."""

    name: str  # for reports and messages
    sign: str  # by what it is recognised, for messages
    knows: Callable[[Any], bool]  # of any JSON value
    read: Callable[[Any, int], Frame]  # of a value that it knows, and the frame's number


@dataclass(frozen=True, kw_only=True)
class ClipKind:
    """How a file whose frames are not a plain list of records is recognised and read."""

    name: str
    sign: str
    knows: Callable[[Any], bool]
    read: Callable[[Any, clips.ReadFrame], Source]  # of a value, and what reads a frame of it


def source_of(value: object) -> Source:
    """Return the frames of a file's content; InputError if it is of no known kind.

    Records without people give empty frames; records that are not understood raise with their keys.
    """
    for kind in CLIPS:
        if kind.knows(value):
            source = kind.read(value, frame_of)
            source.kind = kind.name
            source.speed = speed_of(value, source)
            return source
    if is_list(value) and value:
        source = clips.read_list(value, frame_of)
        source.kind, source.speed = _kind_of(value[0]), speed_of(value, source)
        return source
    if is_record(value):
        return Source(kind=_kind_of(value), frames=[frame_of(value, 0)])
    raise InputError(
        f"keypoints got {short(value)}; it must be a list of at least one frame record with "
        f'"people", "canvas_width" and "canvas_height"; pass the output of a pose extractor.'
    )


def frame_of(value: object, index: int) -> Frame:
    """Return one frame; InputError with the value's keys if it is of no known kind."""
    for kind in RECORDS:
        if kind.knows(value):
            return kind.read(value, index)
    if not is_record(value):
        raise InputError(
            f'keypoints frame {index} got {short(value)}; it must be a record with "people". '
            f"Pass the output of a pose extractor."
        )
    raise InputError(
        f"keypoints frame {index} got a record with {keys_of(value)}; known are "
        f"{'; '.join(kind.sign for kind in (*RECORDS, *CLIPS))}. Export the keypoints in one of "
        f"these formats."
    )


def is_frame(value: object) -> bool:
    """Return whether a value is the record of a frame of a known kind."""
    return any(kind.knows(value) for kind in RECORDS)


def _kind_of(value: object) -> str:
    return next((kind.name for kind in RECORDS if kind.knows(value)), "")


def _read_people(record: Record, index: int) -> Frame:
    named = isinstance(record.get("version"), int | float)
    return _frame(record.get("people"), index, record, openpose=named and not canvas_in(record))


def _read_animals(record: Record, index: int) -> Frame:
    del record
    raise InputError(
        f"keypoints frame {index} got animals; only people can be animated. Use an "
        f"extractor of human poses."
    )


def _read_editor(record: Record, index: int) -> Frame:
    return _frame([{"keypoints": points} for points in record["keypoints"]], index, record)


def _people_in(name: str) -> Callable[[Record, int], Frame]:
    """Return a reader of records whose people are a list of this name."""
    return lambda record, index: _frame(record[name], index, record)


def _frame(people: object, index: int, record: Record, **more: bool) -> Frame:
    """Return the frame of these people on the canvas that the record names."""
    return Frame(people=checked_people(people, index), canvas=canvas_in(record), **more)


def _read_landmarks(record: Record, index: int) -> Frame:
    """Read MediaPipe's landmarks of one person, or of a list of people."""
    points = {name: value for name, value in record.items() if name in _LANDMARKS}
    several = [name for name, value in points.items() if _is_of_people(value)]
    if not several:
        people = [points] if any(points.values()) else []
    else:
        most = max(len(points[name]) for name in several)
        people = [
            {name: points[name][index] for name in several if index < len(points[name])}
            for index in range(most)
        ]
    return _frame(people, index, record, fractions=True)


def _is_of_people(value: object) -> bool:
    """Return whether the value is a list of people, each a list of points."""
    return (
        is_list(value)
        and all(
            is_list(one) and all(is_record(point) or is_list(point) for point in one)
            for one in value
        )
        and bool(value)
    )


def _read_person(record: Record, index: int) -> Frame:
    return _frame([record], index, record)


def _read_list(people: list[Record], index: int) -> Frame:
    sizes = {canvas_in(one) for one in people}
    return Frame(
        people=checked_people(people, index), canvas=sizes.pop() if len(sizes) == 1 else None
    )


_LANDMARKS = (
    *("pose_landmarks", "face_landmarks", "left_hand_landmarks", "right_hand_landmarks"),
    *("poseLandmarks", "faceLandmarks", "leftHandLandmarks", "rightHandLandmarks"),
    *("landmarks", "landmark"),
)


def _has(*names: str) -> Callable[[Any], bool]:
    return lambda value: is_record(value) and any(name in value for name in names)


def _is_editors(value: object) -> bool:
    """Return whether a record holds people, each a list of points, and the size of the picture."""
    if not is_record(value) or not is_list(value.get("keypoints")) or canvas_in(value) is None:
        return False
    people = value["keypoints"]
    return all(
        one is None or (is_list(one) and (not one or any(map(is_list, one)))) for one in people
    )


RECORDS: tuple[RecordKind, ...] = (
    RecordKind(
        name="POSE_KEYPOINT",
        sign='"people" (POSE_KEYPOINT, OpenPose)',
        knows=_has("people"),
        read=_read_people,
    ),
    RecordKind(name="animals", sign='"animals"', knows=_has("animals"), read=_read_animals),
    RecordKind(
        name="pose editor",
        sign='"keypoints" with "width" and "height" (pose editors)',
        knows=_is_editors,
        read=_read_editor,
    ),
    RecordKind(
        name="mmpose",
        sign='"instances" (mmpose)',
        knows=_has("instances"),
        read=_people_in("instances"),
    ),
    RecordKind(
        name="AlphaPose, CMU's form",
        sign='"bodies" (AlphaPose)',
        knows=_has("bodies"),
        read=_people_in("bodies"),
    ),
    RecordKind(
        name="Kinetics-skeleton",
        sign='"skeleton" (Kinetics-skeleton)',
        knows=_has("skeleton"),
        read=_people_in("skeleton"),
    ),
    RecordKind(
        name="MediaPipe",
        sign='"pose_landmarks" (MediaPipe)',
        knows=_has(*_LANDMARKS),
        read=_read_landmarks,
    ),
    RecordKind(
        name="one person a frame", sign='"keypoints" (COCO)', knows=is_person, read=_read_person
    ),
    RecordKind(
        name="lists of people",
        sign="a list of people",
        knows=lambda value: is_list(value) and all(is_person(one) for one in value),
        read=_read_list,
    ),
)

CLIPS: tuple[ClipKind, ...] = (
    ClipKind(
        name="mmpose",
        sign='"instance_info" (mmpose)',
        knows=_has("instance_info"),
        read=clips.read_mmpose,
    ),
    ClipKind(
        name="COCO annotations",
        sign='"annotations" (COCO)',
        knows=_has("annotations"),
        read=clips.read_coco,
    ),
    ClipKind(
        name="a record of frames",
        sign='"frames" or "data", a list of frames',
        knows=lambda value: _has("frames", "data")(value) and not is_frame(value),
        read=clips.read_frames,
    ),
    ClipKind(
        name="frames by number",
        sign='frames by number ("0", "1" or "0.jpg", "1.jpg")',
        knows=clips.is_by_number,
        read=clips.read_by_number,
    ),
    ClipKind(
        name="people with image_id (AlphaPose, COCO results)",
        sign='a list of people with "image_id" or "frame" (AlphaPose, COCO results)',
        knows=clips.is_detections,
        read=clips.read_detections,
    ),
    ClipKind(
        name="people of one picture",
        sign="a list of people with boxes",
        knows=clips.is_one_picture,
        read=clips.read_one_picture,
    ),
)
