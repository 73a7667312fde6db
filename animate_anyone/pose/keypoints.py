"""POSE_KEYPOINT, the community's record of skeletons, read into and written from `PoseClip`."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError
from ..types import Points, PoseClip, Size
from .skeleton import PART_JOINTS, VISIBLE, empty_points, fit_transform

# Field of POSE_KEYPOINT per part, and how many points other readers expect in it.
_FIELDS = {
    "body": ("pose_keypoints_2d", 18),
    "left_hand": ("hand_left_keypoints_2d", 21),
    "right_hand": ("hand_right_keypoints_2d", 21),
    "face": ("face_keypoints_2d", 70),
    "feet": ("foot_keypoints_2d", 6),
}
# OpenPose's 25-point body has the middle of the hips as point 8 and six foot points at the end.
_BODY_25_TO_18 = (*range(8), *range(9, 19))
_BODY_25_FEET = tuple(range(19, 25))
_SCORES = "aa_scores"  # our own field: real confidences, which others' readers ignore

_Triples = np.ndarray  # (j, 3): x, y, confidence


def parse_keypoints(
    value: object,  # POSE_KEYPOINT: a list of frame records, or one such record
    canvas: Size | None = None,  # of frames that name none; otherwise they decide
) -> PoseClip:
    """Return the clip that a POSE_KEYPOINT value holds, whichever pack wrote it.

    Absent parts, short lists, NaN, (-1, -1) and confidence 0 are missing points. Coordinates
    that all lie within 0..1 are taken as fractions of the canvas. Frames whose canvas differs
    from the first frame's are fitted into it.
    """
    records = [value] if isinstance(value, Mapping) else value
    if not isinstance(records, Sequence) or isinstance(records, str) or not records:
        raise InputError(
            f"keypoints got {_short(value)}; it must be a list of at least one frame record with "
            f'"people", "canvas_width" and "canvas_height"; pass the output of a pose extractor.'
        )
    canvases = [_canvas(record, index, canvas) for index, record in enumerate(records)]
    people = [
        [_person(person, index) for person in _people(record, index)]
        for index, record in enumerate(records)
    ]
    _split_body_25(people)
    _undo_fractions(people, canvases)
    count = max(map(len, people))
    points = {part: empty_points(len(records), count, n) for part, n in PART_JOINTS.items()}
    for frame, parts in enumerate(people):
        scale, left, top = fit_transform(canvases[frame], canvases[0])
        for index, person in enumerate(parts):
            for part, triples in person.items():
                seen = triples[:, 2] > 0
                moved = triples[:, :2] * scale + (left, top)
                points[part].xy[frame, index] = np.where(seen[:, None], moved, 0.0)
                points[part].confidence[frame, index] = triples[:, 2]
    return PoseClip(canvas=canvases[0], **points)


def to_keypoints(clip: PoseClip) -> list[dict[str, Any]]:
    """Return the POSE_KEYPOINT value of a clip, in the form that all known readers accept.

    Every part is written at full length, missing points as zeros; confidence is 0 or 1 because
    readers drop anything below 1. The real confidences stand in a field of our own.
    """
    return [
        {
            "people": [
                _write_person(clip, frame, person)
                for person in range(clip.body.xy.shape[1])
                if any(_seen(getattr(clip, part), frame, person).any() for part in PART_JOINTS)
            ],
            "canvas_height": clip.canvas.height,
            "canvas_width": clip.canvas.width,
        }
        for frame in range(len(clip))
    ]


def read_keypoints(path: Path | str, canvas: Size | None = None) -> PoseClip:
    """Return the clip of a POSE_KEYPOINT file (JSON)."""
    try:
        value = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"keypoints got {path}; cannot read it: {error}. Check it.") from error
    except ValueError as error:
        raise InputError(
            f"keypoints got {path}; it is not JSON ({error}). Save the keypoints again."
        ) from error
    return parse_keypoints(value, canvas)


def write_keypoints(path: Path | str, clip: PoseClip) -> None:
    """Write a clip as a POSE_KEYPOINT file (JSON)."""
    Path(path).write_text(json.dumps(to_keypoints(clip)), encoding="utf-8")


def _canvas(record: object, index: int, default: Size | None) -> Size:
    if not isinstance(record, Mapping):
        raise InputError(
            f'keypoints frame {index} got {_short(record)}; it must be a record with "people". '
            f"Pass the output of a pose extractor."
        )
    width, height = record.get("canvas_width"), record.get("canvas_height")
    if width is None and height is None and default is not None:
        return default
    try:
        size = Size(int(width), int(height))  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        size = Size(0, 0)
    if size.width < 1 or size.height < 1:
        raise InputError(
            f"keypoints frame {index} got canvas {width!r} x {height!r}; both must be whole "
            f"numbers of pixels from 1. Name the canvas in the file or pass its size."
        )
    return size


def _people(record: Mapping[str, Any], index: int) -> list[Mapping[str, Any]]:
    people = record.get("people")
    if people is None:
        if "animals" in record:
            raise InputError(
                f"keypoints frame {index} got animals; only people can be animated. Use an "
                f"extractor of human poses."
            )
        return []
    if not isinstance(people, Sequence) or not all(
        person is None or isinstance(person, Mapping) for person in people
    ):
        raise InputError(
            f"keypoints frame {index} got people {_short(people)}; it must be a list of records. "
            f"Pass the output of a pose extractor."
        )
    return [person for person in people if person]


def _person(record: Mapping[str, Any], frame: int) -> dict[str, _Triples]:
    """Read every part at the length it has (bodies of 25 points stay so for now)."""
    scores = record.get(_SCORES)
    person = {}
    for part, (field, _) in _FIELDS.items():
        triples = _triples(record.get(field), field, frame)
        real = scores.get(part) if isinstance(scores, Mapping) else None
        if isinstance(real, Sequence) and len(real) == PART_JOINTS[part]:
            n = min(len(real), len(triples))
            seen = triples[:n, 2] > 0
            triples[:n, 2] = np.where(seen, np.clip(np.asarray(real[:n], float), 0, 1), 0)
        is_25 = part == "body" and len(triples) == 25
        person[part] = triples if is_25 else _resized(triples, PART_JOINTS[part])
    return person


def _triples(values: object, field: str, frame: int) -> _Triples:
    try:
        flat = np.asarray([] if values is None else values, np.float64).ravel()
    except (TypeError, ValueError):
        flat = np.zeros(1)
    if flat.size % 3:
        raise InputError(
            f"keypoints frame {frame} got {field} {_short(values)}; it must be a flat list of "
            f"x, y, confidence triples. Pass the output of a pose extractor."
        )
    triples = flat.reshape(-1, 3).copy()
    xy = triples[:, :2]
    lost = ~np.isfinite(triples).all(1) | (xy == -1).all(1) | (triples[:, 2] <= 0)
    triples[lost] = 0
    triples[:, 2] = triples[:, 2].clip(0, 1)
    return triples


def _resized(triples: _Triples, length: int) -> _Triples:
    result = np.zeros((length, 3))
    result[: len(triples)] = triples[:length]
    return result


def _each(people: list[list[dict[str, _Triples]]]) -> Iterator[dict[str, _Triples]]:
    return (person for frame in people for person in frame)


def _split_body_25(people: list[list[dict[str, _Triples]]]) -> None:
    """Bring 25-point bodies to 18 and feet; which 25 points they are is decided over the clip.

    Only BODY_25 has point 8 in the middle of 9 and 12 (the hips). Others put the 18 points
    first and something else behind.
    """
    long = [person for person in _each(people) if len(person["body"]) == 25]
    distances = []
    for person in long:
        middle, right, left = person["body"][[8, 9, 12]]
        if min(middle[2], right[2], left[2]) > 0:
            span = math.dist(right[:2], left[:2]) + math.dist(person["body"][1][:2], middle[:2])
            distances.append(math.dist(middle[:2], (right[:2] + left[:2]) / 2) / max(span, 1e-9))
    is_body_25 = bool(distances) and float(np.median(distances)) < 0.05
    for person in long:
        body = person["body"]
        if is_body_25:
            person["body"] = body[list(_BODY_25_TO_18)]
            if not person["feet"][:, 2].any():
                person["feet"] = body[list(_BODY_25_FEET)]
        else:
            person["body"] = body[: PART_JOINTS["body"]]


def _undo_fractions(people: list[list[dict[str, _Triples]]], canvases: list[Size]) -> None:
    """Multiply fractions of the canvas to pixels, if that is what the whole clip holds."""
    if max(max(canvas.width, canvas.height) for canvas in canvases) <= 2:
        return
    for person in _each(people):
        for triples in person.values():
            if np.abs(triples[triples[:, 2] > 0, :2]).max(initial=0) > 1:
                return
    for frame, canvas in zip(people, canvases, strict=True):
        for person in frame:
            for triples in person.values():
                triples[:, :2] *= (canvas.width, canvas.height)


def _seen(points: Points, frame: int, person: int) -> np.ndarray:
    return points.confidence[frame, person] >= VISIBLE


def _write_person(clip: PoseClip, frame: int, person: int) -> dict[str, Any]:
    record: dict[str, Any] = {}
    scores: dict[str, list[float]] = {}
    for part, (field, length) in _FIELDS.items():
        points: Points = getattr(clip, part)
        seen = _seen(points, frame, person)
        triples = np.zeros((length, 3))
        triples[: len(seen), :2] = np.where(seen[:, None], points.xy[frame, person], 0)
        triples[: len(seen), 2] = seen
        record[field] = triples.ravel().tolist()
        scores[part] = np.where(seen, points.confidence[frame, person], 0).tolist()
    record[_SCORES] = scores
    return record


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
