"""Writing POSE_KEYPOINT, and the extra fields in which this pack saves what the format lacks."""

import json
from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import InputError
from ...places import whole_file
from ...types import Points, PoseClip
from ..skeleton.joints import PART_JOINTS, VISIBLE
from .bodies import Parts
from .points import short
from .records import OWN_SCORES as SCORES
from .records import Frame
from .speed import FASTEST, SLOWEST

# Field of POSE_KEYPOINT per part, and how many points other readers expect in it.
_FIELDS = {
    "body": ("pose_keypoints_2d", 18),
    "left_hand": ("hand_left_keypoints_2d", 21),
    "right_hand": ("hand_right_keypoints_2d", 21),
    "face": ("face_keypoints_2d", 70),
    "feet": ("foot_keypoints_2d", 6),
}
# Extra fields of this pack for values that the standard fields cannot hold; other readers ignore
# them.
_HIDDEN = "aa_hidden"  # {part: triples of joint, x, y}: points with confidence below VISIBLE
_FLAGS = "aa_flags"  # {part: j numbers of `Flag`}


def to_keypoints(
    clip: PoseClip,
    fps: Fraction | float | None = None,  # frames per second, for readers; None: not written
) -> list[dict[str, Any]]:
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
            **({} if fps is None else {"fps": float(fps)}),
        }
        for frame in range(len(clip))
    ]


def write_keypoints(
    path: Path | str,
    clip: PoseClip,
    fps: Fraction | float | None = None,  # frames per second, of every frame; None: not written
) -> None:
    """Write a clip as a POSE_KEYPOINT file (JSON), atomically.

    Raises InputError for a speed that no clip has, and MediaError if the file cannot be written; an
    existing file is then left unchanged.
    """
    if fps is not None and not SLOWEST <= fps <= FASTEST:
        raise InputError(
            f"fps got {float(fps):g}; it must lie in 0.001..1000. Choose for instance 30."
        )
    with whole_file(path) as part:
        part.write_text(json.dumps(to_keypoints(clip, fps), allow_nan=False), encoding="utf-8")


def restore(person: Parts, source: Mapping[str, Any], frame: int) -> None:
    """Restore real confidences and hidden points from the extra fields.

    If an extra field contradicts the standard field, the standard field has been edited since and
    takes precedence.
    """
    for part, triples in person.items():
        hidden = _own(source, _HIDDEN, part, frame)
        for joint, x, y in [] if hidden is None else hidden.reshape(-1, 3):
            if 0 <= joint < len(triples) and triples[int(joint), 2] == 0:
                triples[int(joint)] = x, y, VISIBLE / 2
        scores = _own(source, SCORES, part, frame)
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
            f"keypoints frame {frame} got {field} of {part} {short(values)}; it must hold numbers "
            f"as this pack writes them. Remove {field} or save the keypoints again."
        )
    return flat


def with_flags(
    points: dict[str, Points],
    frames: list[Frame],
    places: list[list[int]],  # of each frame and person: its index in the clip
) -> dict[str, Points]:
    """Add the flags of the parts for which they were saved."""
    result = {}
    for part, group in points.items():
        flags, found = np.zeros(group.confidence.shape, np.uint8), False
        for frame, content in enumerate(frames):
            for person, source in zip(places[frame], content.people, strict=True):
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
    own: dict[str, dict[str, list]] = {SCORES: {}, _HIDDEN: {}, _FLAGS: {}}
    for part, (field, length) in _FIELDS.items():
        points: Points = getattr(clip, part)
        xy, confidence = points.xy[frame, person], confidences[part][frame, person]
        seen = confidence >= VISIBLE
        triples = np.zeros((length, 3))
        triples[: len(seen), :2] = np.where(seen[:, None], xy, 0)
        triples[: len(seen), 2] = seen
        record[field] = triples.ravel().tolist()
        own[SCORES][part] = confidence.tolist()
        if hidden := np.flatnonzero((confidence > 0) & ~seen).tolist():
            own[_HIDDEN][part] = [[joint, *xy[joint].tolist()] for joint in hidden]
        if points.flags is not None:
            own[_FLAGS][part] = points.flags[frame, person].tolist()
    return record | {field: parts for field, parts in own.items() if parts}
