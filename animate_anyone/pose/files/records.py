"""What all makers' files are turned into first: frames with people, whose points are still raw."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, TypeGuard

from ...errors import InputError
from ..skeleton.joints import PART_JOINTS
from .points import short

# Names of a part's field in a person's record, in the order in which they are looked for.
FIELDS: dict[str, tuple[str, ...]] = {
    "body": (
        "pose_keypoints_2d",  # OpenPose and POSE_KEYPOINT
        "pose_keypoints",  # the first OpenPose
        "keypoints",  # COCO, mmpose, AlphaPose, Ultralytics, TensorFlow.js
        "joints",  # AlphaPose for CMU's tools
        "pose",  # Kinetics-skeleton
        "pose_landmarks",  # MediaPipe
        "poseLandmarks",
        "landmarks",
        "landmark",
    ),
    "face": (
        "face_keypoints_2d",
        "face_keypoints",
        "face_kpts",  # COCO-WholeBody
        "face_landmarks",
        "faceLandmarks",
    ),
    "left_hand": (
        "hand_left_keypoints_2d",
        "hand_left_keypoints",
        "lefthand_kpts",
        "left_hand_landmarks",
        "leftHandLandmarks",
        "left_hand_keypoints_2d",
        "left_hand_keypoints",
    ),
    "right_hand": (
        "hand_right_keypoints_2d",
        "hand_right_keypoints",
        "righthand_kpts",
        "right_hand_landmarks",
        "rightHandLandmarks",
        "right_hand_keypoints_2d",
        "right_hand_keypoints",
    ),
    "feet": ("foot_keypoints_2d", "foot_keypoints", "foot_kpts"),
}
OWN_SCORES = "aa_scores"  # {part: j confidences}; only in files of this pack
SCORES = ("keypoint_scores", "keypoints_scores", "score")  # confidences that are listed apart
# The same, of makers of whom little is known; the last three may be flags beside confidences.
SURE_SCORES = (
    *("scores", "confidences", "confidence", "keypoints_conf", "keypoint_confidence"),
    "kpt_scores",
)
OTHER_SCORES = (*SURE_SCORES, "keypoints_visible", "visibility", "visible")
# Names of width and height of the picture, in the order in which they are looked for.
_CANVAS = (
    ("canvas_width", "canvas_height"),
    ("image_width", "image_height"),
    ("img_width", "img_height"),
    ("width", "height"),
)
MOST_PEOPLE = 500  # in a frame; nobody animates more, and a damaged file may ask for any number
assert set(FIELDS) == set(PART_JOINTS)

Record = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Frame:
    """One frame of a file."""

    people: list[Record]  # each with a field of FIELDS
    canvas: tuple[object, object] | None = None  # width and height as the file says; None: no word
    openpose: bool = False  # OpenPose wrote it: a version, and no canvas
    fractions: bool = False  # the maker's coordinates are always 0..1 of the picture


@dataclass(frozen=True, kw_only=True)
class Speed:
    """The speed of a clip, by what its file says."""

    fps: Fraction  # frames per second
    told: str  # how the file tells it, for reports: "as the file names"


@dataclass(kw_only=True)
class Source:
    """The content of a file, or of a folder of files."""

    kind: str  # the maker's format, for the report
    frames: list[Frame]
    names: Sequence[str] | None = None  # of the body's keypoints, if the file says
    step: int = 1  # by which the file's frame numbers rise: 2 if every second frame is there
    speed: Speed | None = None  # None: the file does not say
    notes: list[str] = field(default_factory=list)  # what was assumed, for the report


def is_record(value: object) -> TypeGuard[Mapping[str, Any]]:
    """Return whether a value is a record (a JSON object)."""
    return isinstance(value, Mapping)


def is_list(value: object) -> TypeGuard[Sequence[Any]]:
    """Return whether a value is a list (a JSON array)."""
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


def is_person(value: object) -> bool:
    """Return whether a value is a record with the points of a person."""
    return isinstance(value, Mapping) and any(
        name in value for names in FIELDS.values() for name in names
    )


def canvas_in(record: Record) -> tuple[object, object] | None:
    """Return width and height that a record names, unchecked; None if it names neither."""
    for width, height in _CANVAS:
        if record.get(width) is not None or record.get(height) is not None:
            return record.get(width), record.get(height)
    return None


def checked_people(people: object, index: int) -> list[Record]:
    """Return the people of a frame without empty entries; InputError for anything else.

    `people` is what the file holds in the place of its people.
    """
    if people is None:
        return []
    if not is_list(people) or not all(one is None or is_record(one) for one in people):
        raise InputError(
            f"keypoints frame {index} got people {short(people)}; it must be a list of records. "
            f"Pass the output of a pose extractor."
        )
    if len(people) > MOST_PEOPLE:
        raise InputError(
            f"keypoints frame {index} got {len(people):,} people; there may be {MOST_PEOPLE} in a "
            "frame. Export the people who matter."
        )
    present: list[Record] = [one for one in people if one]
    for one in present:
        if not is_person(one):
            raise InputError(
                f"keypoints frame {index} got a person with {keys_of(one)}; it must hold "
                f"{FIELDS['body'][0]} or another known list of points. Pass the output of a pose "
                f"extractor."
            )
    return present


def keys_of(record: Record) -> str:
    """Return, for messages, the keys of a record: "the keys a, b, c"."""
    keys = [short(str(key)).strip("'\"") for key in list(record)[:12]]
    more = f" and {len(record) - 12} more" if len(record) > 12 else ""
    return f"the keys {', '.join(keys)}{more}" if keys else "no keys"
