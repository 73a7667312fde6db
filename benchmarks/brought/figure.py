"""One known figure that all keypoint files hold, and the check of what was read from them."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from animate_anyone.pose.files.keypoints import Reading, read_with_notes
from animate_anyone.pose.skeleton.joints import BODY_JOINTS, PART_JOINTS
from animate_anyone.types import PoseClip, Size

from .case import Case, MismatchError

CANVAS = Size(128, 160)
FRAMES = 3
BOUND_PX = 0.01
_BODY = {
    "nose": (64, 24),
    "left_eye": (67, 21),
    "right_eye": (61, 21),
    "left_ear": (71, 23),
    "right_ear": (57, 23),
    "left_shoulder": (78, 38),
    "right_shoulder": (50, 38),
    "left_elbow": (86, 54),
    "right_elbow": (42, 54),
    "left_wrist": (92, 70),
    "right_wrist": (38, 69),
    "left_hip": (73, 72),
    "right_hip": (55, 72),
    "left_knee": (75, 94),
    "right_knee": (53, 95),
    "left_ankle": (76, 114),
    "right_ankle": (52, 116),
}
COCO = tuple(_BODY)
_FEET = {
    "left_big_toe": (82, 121),
    "left_small_toe": (86, 119),
    "left_heel": (74, 119),
    "right_big_toe": (46, 123),
    "right_small_toe": (42, 121),
    "right_heel": (54, 121),
}
# Names of single points; those of hands and face have a number: "left_hand 4", "face 30".
PLACES: dict[str, tuple[float, float]] = {
    **_BODY,
    **_FEET,
    "neck": (64, 38),
    "mid_hip": (64, 72),
    "spine": (64, 56),
    "head_top": (64, 9),
    "head_bottom": (64, 33),
    **{f"{side}_palm": (92 if side == "left" else 37, 73) for side in ("left", "right")},
    **{f"left_hand {i}": (92 + i % 5, 70 + i // 5) for i in range(21)},
    **{f"right_hand {i}": (38 - i % 5, 69 + i // 5) for i in range(21)},
    **{f"face {i}": (56 + i % 17, 14 + i // 17 * 4) for i in range(68)},
}
OPENPOSE = BODY_JOINTS
FEET = tuple(_FEET)
HANDS = {side: tuple(f"{side} {i}" for i in range(21)) for side in ("left_hand", "right_hand")}
FACE = tuple(f"face {i}" for i in range(68))
_JOINTS = {"body": OPENPOSE, "feet": FEET, "face": FACE, **HANDS}
ABSENT = "absent"  # a point that a layout has and this project has not

Point = tuple[float, float]


def place(name: str, frame: int = 0, person: int = 0) -> Point:
    """Return where a point of the figure is, in pixels; it moves by (2, 1) px from frame to frame.

    Further people stand 40 px beside the one before and are as large.
    """
    x, y = PLACES.get(name, (64, 60))
    return x + 2 * frame + 40 * person, y + frame


def points(names: Sequence[str], frame: int = 0, person: int = 0) -> list[Point]:
    """Return the places of points, in the order of the names."""
    return [place(name, frame, person) for name in names]


def triples(names: Sequence[str], frame: int = 0, person: int = 0) -> list[float]:
    """Return a flat list of x, y, confidence 0.9; absent points have 0, 0, 0."""
    flat: list[float] = []
    for name in names:
        flat += [0.0, 0.0, 0.0] if name == ABSENT else [*place(name, frame, person), 0.9]
    return flat


def pairs(names: Sequence[str], frame: int = 0, person: int = 0) -> list[float]:
    """Return a flat list of x, y."""
    return [value for point in points(names, frame, person) for value in point]


def keypoint_case(
    name: str,
    content: Any,  # noqa: ANN401  (a JSON value, text, or bytes of the file)
    *,
    expected: str | None = None,  # None: the seen joints within BOUND_PX
    seen: Sequence[str] = OPENPOSE,  # points that must be found; all others must be missing
    canvas: Size | None = None,  # as --canvas gives it
    notes: Sequence[str] = (),  # words that the notes must hold
    frames: int = FRAMES,
    people: int = 1,
    bound: float = BOUND_PX,
    refusal: str | None = None,
) -> Case:
    """Return the case of a single file that holds the figure."""

    seen = [name for name in seen if name != ABSENT]

    def make(folder: Path) -> Path:
        path = folder / "keypoints.json"
        data = content if isinstance(content, bytes) else _text(content).encode()
        path.write_bytes(data)
        return path

    def read(path: Path) -> str:
        reading = read_with_notes(path, canvas)
        check(reading, seen, frames, people, bound, notes)
        return _summary(reading)

    right = f"{len(seen)} points within {bound:g} px, all others missing"
    if refusal is not None:
        right = f'refused: "{refusal}"'
    return Case(name=name, expected=expected or right, make=make, read=read, refusal=refusal)


def folder_case(
    name: str,
    files: dict[str, Any],  # JSON value or text by file name
    *,
    expected: str,
    check_with: Callable[[Reading], None],
    canvas: Size | None = CANVAS,
    refusal: str | None = None,
) -> Case:
    """Return the case of a folder with one file per frame."""

    def make(folder: Path) -> Path:
        path = folder / "take"
        path.mkdir()
        for file, content in files.items():
            (path / file).write_text(_text(content), encoding="utf-8")
        return path

    def read(path: Path) -> str:
        reading = read_with_notes(path, canvas)
        check_with(reading)
        return _summary(reading)

    return Case(name=name, expected=expected, make=make, read=read, refusal=refusal)


def check(
    reading: Reading,
    seen: Sequence[str] = OPENPOSE,
    frames: int = FRAMES,
    people: int = 1,
    bound: float = BOUND_PX,
    notes: Sequence[str] = (),
) -> None:
    """Raise MismatchError unless the figure was read, and the notes hold these words."""
    clip, wanted = reading.clip, set(seen)
    if clip.body.xy.shape[:2] != (frames, people):
        raise MismatchError(f"{clip.body.xy.shape[:2]} frames and people for {(frames, people)}")
    for part, joints in _JOINTS.items():
        assert len(joints) == PART_JOINTS[part]
        there = getattr(clip, part).confidence > 0
        right = np.array([joint in wanted for joint in joints])
        if (there != right).any():
            wrong = joints[int(np.argwhere(there != right)[0, 2])]
            raise MismatchError(f"{part}: {wrong} is {'missing' if wrong in wanted else 'there'}")
        for frame in range(frames):
            for person in range(people):
                found = getattr(clip, part).xy[frame, person][right]
                truth = np.array(points(joints, frame, person), np.float64)[right]
                error = np.abs(found - truth).max(initial=0)
                if error > bound:
                    raise MismatchError(f"{part} is {error:.2f} px away in frame {frame}")
    require_notes(reading, notes)


def require_notes(reading: Reading, notes: Sequence[str]) -> None:
    """Raise MismatchError unless the notes hold these words."""
    said = "; ".join(reading.notes)
    for words in notes:
        if words not in said:
            raise MismatchError(f"the report does not say {words!r}: {said}")


def body_x(clip: PoseClip) -> list[float]:
    """Return x of the first person's nose in each frame."""
    return clip.body.xy[:, 0, 0, 0].tolist()


def _summary(reading: Reading) -> str:
    frames, people = reading.clip.body.xy.shape[:2]
    return "; ".join([f"frames: {frames}, people: {people}", *reading.notes])


def _text(content: Any) -> str:  # noqa: ANN401  (as above)
    return content if isinstance(content, str) else json.dumps(content)
