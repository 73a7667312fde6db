"""Reading and writing POSE_KEYPOINT, the community's format of skeletons.

Also reads the files of OpenPose and of pose editors, which are single records of the same format.
"""

import json
import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import InputError, MediaError
from ...fitting import placement
from ...types import Points, PoseClip, Size
from ..skeleton.joints import LARGEST_PX, PART_JOINTS, VISIBLE, empty_points

_log = logging.getLogger(__name__)

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
# Extra fields of this pack for values that the standard fields cannot hold; other readers ignore
# them.
_SCORES = "aa_scores"  # {part: j confidences}
_HIDDEN = "aa_hidden"  # {part: triples of joint, x, y}: points with confidence below VISIBLE
_FLAGS = "aa_flags"  # {part: j numbers of `Flag`}
_FARTHEST_PX = 1e9  # points farther away are taken as missing

_Triples = np.ndarray  # (j, 3): x, y, confidence


def parse_keypoints(
    value: object,  # POSE_KEYPOINT: a list of frame records, or one such record
    canvas: Size | None = None,  # for frames that do not name one
) -> PoseClip:
    """Return the clip of a POSE_KEYPOINT value, written by any pack.

    Absent parts, short lists, NaN, (-1, -1) and confidence 0 become missing points. If all
    coordinates lie within 0..1, they are fractions of the canvas. Frames with another canvas are
    fitted into the first frame's canvas. Person p is the entry with index p in every frame's list.
    """
    records = [value] if isinstance(value, Mapping) else value
    if not isinstance(records, Sequence) or isinstance(records, str) or not records:
        raise InputError(
            f"keypoints got {_short(value)}; it must be a list of at least one frame record with "
            f'"people", "canvas_width" and "canvas_height"; pass the output of a pose extractor.'
        )
    canvases = [_canvas(record, index, canvas) for index, record in enumerate(records)]
    sources = [_people(record, index) for index, record in enumerate(records)]
    people = [[_person(source, index) for source in frame] for index, frame in enumerate(sources)]
    _split_body_25(people, any(_is_openpose(record) for record in records))
    if not any(_SCORES in source for frame in sources for source in frame):
        _undo_fractions(people, canvases)
    for index, frame in enumerate(zip(people, sources, strict=True)):
        for person, source in zip(*frame, strict=True):
            _restore(person, source, index)
    points = _gather(people, canvases)
    _warn_of_canvas_changes(canvases)
    return PoseClip(canvas=canvases[0], **_with_flags(points, sources))


def to_keypoints(clip: PoseClip) -> list[dict[str, Any]]:
    """Return the POSE_KEYPOINT value of a clip, in the form that all known readers accept.

    Every part is written at full length, with zeros for missing points. Confidence is written as 0
    or 1, because other readers drop values below 1. Real confidences, points below VISIBLE, and
    flags are written to extra fields, so that `parse_keypoints` restores the clip. A person who is
    missing in a frame is written as zeros if others follow, so that every person keeps the same
    index; after the last present person nothing is written.
    """
    confidences = {part: _confidence(getattr(clip, part)) for part in PART_JOINTS}
    present = np.any([confidence.any(-1) for confidence in confidences.values()], 0)  # (f, p)
    for part in PART_JOINTS:
        flags = getattr(clip, part).flags
        present |= False if flags is None else flags.any(-1)
    return [
        {
            "people": [
                _write_person(clip, confidences, frame, person)
                for person in range(int(np.flatnonzero(present[frame]).max(initial=-1)) + 1)
            ],
            "canvas_height": clip.canvas.height,
            "canvas_width": clip.canvas.width,
        }
        for frame in range(len(clip))
    ]


def read_keypoints(path: Path | str, canvas: Size | None = None) -> PoseClip:
    """Return the clip of a JSON file, or of a folder with one JSON file per frame.

    OpenPose writes such folders. Its files do not name the canvas, so pass its size.
    """
    path = Path(path)
    if not path.is_dir():
        return _parsed(path, _load(path), canvas)
    files = sorted(path.glob("*.json"))
    frames = [_load(file) for file in files]
    if len(set(map(type, frames)) - {dict}):
        raise InputError(
            f"keypoints got the folder {path} with clips in its files; each file must be one "
            f"frame's record. Choose one of the files."
        )
    if not frames:
        raise InputError(f"keypoints got {path}; the folder has no JSON file. Choose another.")
    return _parsed(path, frames, canvas)


def _parsed(path: Path, value: object, canvas: Size | None) -> PoseClip:
    """Parse the content of a file; error messages begin with its path."""
    try:
        return parse_keypoints(value, canvas)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def write_keypoints(path: Path | str, clip: PoseClip) -> None:
    """Write a clip as a POSE_KEYPOINT file (JSON), atomically.

    Raises MediaError if the file cannot be written; an existing file is then left unchanged.
    """
    path = Path(path)
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_text(json.dumps(to_keypoints(clip), allow_nan=False), encoding="utf-8")
        part.replace(path)
    except OSError as error:
        raise MediaError(
            f"out got {path}; it cannot be written ({error.strerror or error}). Free some space "
            f"or choose another place."
        ) from error
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def _load(path: Path) -> object:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"keypoints got {path}; cannot read it: {error}. Check it.") from error
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"keypoints got {path}; it is not JSON ({error}). Save the keypoints again."
        ) from error


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
    if not 1 <= min(size.width, size.height) <= max(size.width, size.height) <= LARGEST_PX:
        raise InputError(
            f"keypoints frame {index} got canvas {width!r} x {height!r}; both must be whole "
            f"numbers of pixels from 1 to {LARGEST_PX}. Name it in the file or pass its size."
        )
    return size


def _warn_of_canvas_changes(canvases: list[Size]) -> None:
    first = canvases[0]
    others = [index for index, canvas in enumerate(canvases) if canvas != first]
    if others:
        canvas = canvases[others[0]]
        _log.warning(
            "keypoints: the canvas changes from %d x %d to %d x %d pixels in frame %d; %d of %d "
            "frames are fitted into the first canvas",
            *(first.width, first.height, canvas.width, canvas.height),
            *(others[0], len(others), len(canvases)),
        )


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
    """Read every part at its standard length, but keep bodies of 25 points."""
    person = {}
    for part, (field, _) in _FIELDS.items():
        triples = _triples(record.get(field), field, frame)
        if _SCORES not in record:
            triples[(triples[:, :2] == -1).all(1)] = 0
        is_25 = part == "body" and len(triples) == 25
        person[part] = triples if is_25 else _resized(triples, PART_JOINTS[part])
    return person


def _triples(values: object, field: str, frame: int) -> _Triples:
    try:
        flat = np.asarray([] if values is None else values, np.float64).ravel()
    except (TypeError, ValueError, OverflowError):
        flat = np.zeros(1)
    if flat.size % 3:
        raise InputError(
            f"keypoints frame {frame} got {field} {_short(values)}; it must be a flat list of "
            f"x, y, confidence triples. Pass the output of a pose extractor."
        )
    triples = flat.reshape(-1, 3).copy()
    with np.errstate(invalid="ignore"):
        kept = (np.abs(triples[:, :2]) <= _FARTHEST_PX).all(1) & (triples[:, 2] > 0)
    triples[~kept] = 0
    triples[:, 2] = triples[:, 2].clip(0, 1)
    return triples


def _resized(triples: _Triples, length: int) -> _Triples:
    result = np.zeros((length, 3))
    result[: len(triples)] = triples[:length]
    return result


def _each(people: list[list[dict[str, _Triples]]]) -> Iterator[dict[str, _Triples]]:
    return (person for frame in people for person in frame)


def _is_openpose(record: Mapping[str, Any]) -> bool:
    """Return whether OpenPose wrote the record: such files have a version and no canvas."""
    return isinstance(record.get("version"), int | float) and "canvas_width" not in record


def _split_body_25(people: list[list[dict[str, _Triples]]], is_openpose: bool) -> None:
    """Convert 25-point bodies to 18 points and feet; the layout is decided for the whole clip.

    Only OpenPose's BODY_25 has point 8 in the middle between 9 and 12 (the hips). Other layouts
    have the 18 points first and extra points after them.
    """
    long = [person for person in _each(people) if len(person["body"]) == 25]
    distances = []
    for person in long:
        middle, right, left = person["body"][[8, 9, 12]]
        if min(middle[2], right[2], left[2]) > 0:
            span = math.dist(right[:2], left[:2]) + math.dist(person["body"][1][:2], middle[:2])
            distances.append(math.dist(middle[:2], (right[:2] + left[:2]) / 2) / max(span, 1e-9))
    is_body_25 = is_openpose or (bool(distances) and float(np.median(distances)) < 0.05)
    for person in long:
        body = person["body"]
        if is_body_25:
            person["body"] = body[list(_BODY_25_TO_18)]
            if not person["feet"][:, 2].any():
                person["feet"] = body[list(_BODY_25_FEET)]
        else:
            person["body"] = body[: PART_JOINTS["body"]]


def _undo_fractions(people: list[list[dict[str, _Triples]]], canvases: list[Size]) -> None:
    """Convert fractions of the canvas to pixels, if all coordinates of the clip are fractions."""
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


def _restore(person: dict[str, _Triples], source: Mapping[str, Any], frame: int) -> None:
    """Restore real confidences and hidden points from the extra fields.

    If an extra field contradicts the standard field, the standard field has been edited since and
    takes precedence.
    """
    for part, triples in person.items():
        hidden = _own(source, _HIDDEN, part, frame)
        for joint, x, y in [] if hidden is None else hidden.reshape(-1, 3):
            if 0 <= joint < len(triples) and triples[int(joint), 2] == 0:
                triples[int(joint)] = x, y, VISIBLE / 2
        scores = _own(source, _SCORES, part, frame)
        if scores is not None and len(scores) == len(triples):
            agree = (triples[:, 2] >= VISIBLE) == (scores >= VISIBLE)
            triples[:, 2] = np.where(agree & (triples[:, 2] > 0), scores, triples[:, 2]).clip(0, 1)


def _own(source: Mapping[str, Any], field: str, part: str, frame: int) -> np.ndarray | None:
    """Return the flat values of an extra field for a part; None if it is absent."""
    parts = source.get(field)
    values = parts.get(part) if isinstance(parts, Mapping) else parts
    if values is None:
        return None
    try:
        flat = np.asarray(values, np.float64).ravel()
    except (TypeError, ValueError, OverflowError):
        flat = np.full(1, np.nan)
    if not np.isfinite(flat).all() or (field == _HIDDEN and flat.size % 3):
        raise InputError(
            f"keypoints frame {frame} got {field} of {part} {_short(values)}; it must hold numbers "
            f"as this pack writes them. Remove {field} or save the keypoints again."
        )
    return flat


def _gather(people: list[list[dict[str, _Triples]]], canvases: list[Size]) -> dict[str, Points]:
    """Collect all people in arrays, fitted into the first canvas."""
    count = max(map(len, people))
    points = {part: empty_points(len(people), count, n) for part, n in PART_JOINTS.items()}
    for frame, parts in enumerate(people):
        scale, left, top = placement(canvases[frame], canvases[0])
        for index, person in enumerate(parts):
            for part, triples in person.items():
                seen = triples[:, 2] > 0
                moved = triples[:, :2] * scale + (left, top)
                points[part].xy[frame, index] = np.where(seen[:, None], moved, 0.0)
                points[part].confidence[frame, index] = triples[:, 2]
    return points


def _with_flags(
    points: dict[str, Points], sources: list[list[Mapping[str, Any]]]
) -> dict[str, Points]:
    """Add the flags of the parts for which they were saved."""
    result = {}
    for part, group in points.items():
        flags, found = np.zeros(group.confidence.shape, np.uint8), False
        for frame, people in enumerate(sources):
            for person, source in enumerate(people):
                own = _own(source, _FLAGS, part, frame)
                if own is not None and len(own) == PART_JOINTS[part]:
                    flags[frame, person], found = own.clip(0, 255), True
        result[part] = replace(group, flags=flags) if found else group
    return result


def _confidence(points: Points) -> np.ndarray:
    """Return confidences in 0..1; 0 for points whose position is not finite."""
    confidence = np.where(np.isfinite(points.xy).all(-1), points.confidence, 0)
    return np.where(confidence > 0, confidence, 0).clip(0, 1)


def _write_person(
    clip: PoseClip, confidences: dict[str, np.ndarray], frame: int, person: int
) -> dict[str, Any]:
    record: dict[str, Any] = {}
    own: dict[str, dict[str, list]] = {_SCORES: {}, _HIDDEN: {}, _FLAGS: {}}
    for part, (field, length) in _FIELDS.items():
        points: Points = getattr(clip, part)
        xy, confidence = points.xy[frame, person], confidences[part][frame, person]
        seen = confidence >= VISIBLE
        triples = np.zeros((length, 3))
        triples[: len(seen), :2] = np.where(seen[:, None], xy, 0)
        triples[: len(seen), 2] = seen
        record[field] = triples.ravel().tolist()
        own[_SCORES][part] = confidence.tolist()
        if hidden := np.flatnonzero((confidence > 0) & ~seen).tolist():
            own[_HIDDEN][part] = [[joint, *xy[joint].tolist()] for joint in hidden]
        if points.flags is not None:
            own[_FLAGS][part] = points.flags[frame, person].tolist()
    return record | {field: parts for field, parts in own.items() if parts}


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
