"""Keypoint files in other units, of several people, and with numbers beyond all bounds."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from animate_anyone.pose.files.keypoints import Reading, read_with_notes
from animate_anyone.types import Size

from .case import Case, MismatchError
from .figure import CANVAS, FRAMES, HANDS, OPENPOSE, keypoint_case, require_notes, triples
from .keypoint_layouts import SIZE

_EACH = range(FRAMES)
_TWO_FRAMES = 12


def _in_unit(
    flat: list[float], convert: Callable[[float, float], float] = lambda value, side: value / side
) -> list[float]:
    """Return triples in another unit: `convert` takes a coordinate and the length of its side."""
    sides = (CANVAS.width, CANVAS.height)
    return [v if i % 3 == 2 else convert(v, sides[i % 3]) for i, v in enumerate(flat)]


def _clip(frames: list[list[float]], **parts: list[list[float]]) -> list[dict[str, Any]]:
    fields = {"pose_keypoints_2d": frames, **parts}
    return [
        {"people": [{name: lists[t] for name, lists in fields.items()}], **SIZE}
        for t in range(len(frames))
    ]


_FRACTIONS = [_in_unit(triples(OPENPOSE, t)) for t in _EACH]


def _one_outside() -> Case:
    """The left ankle of one frame lies at y = 1.02; all else must be where it is."""
    frames = [list(frame) for frame in _FRACTIONS]
    ankle = OPENPOSE.index("left_ankle")
    frames[1][3 * ankle + 1] = 1.02
    case = keypoint_case("fractions, one ankle at y = 1.02", _clip(frames))

    def read(path: Path) -> str:
        xy = read_with_notes(path).clip.body.xy[:, 0]
        truth = np.array([triples(OPENPOSE, t) for t in _EACH]).reshape(FRAMES, 18, 3)[..., :2]
        truth[1, ankle, 1] = 1.02 * CANVAS.height
        if np.abs(xy - truth).max() > 0.01:
            raise MismatchError(f"points are up to {np.abs(xy - truth).max():.1f} px away")
        return f"the ankle is at y = {xy[1, ankle, 1]:.1f} of {CANVAS.height}"

    right = "18 points within 0.01 px, the ankle below the picture"
    return Case(name=case.name, expected=right, make=case.make, read=read)


def _people(frame: int, *, numbers: str | None, flips: bool) -> dict[str, Any]:
    """Two people 40 px apart, whose order in the list changes every second frame."""
    order = (1, 0) if flips and frame % 2 else (0, 1)
    people = [{"pose_keypoints_2d": triples(OPENPOSE, frame, person)} for person in order]
    if numbers is not None:
        for person, record in zip(order, people, strict=True):
            record[numbers] = [7 + person] if numbers == "person_id" else 7 + person  # type: ignore[assignment]
    return {"people": people, "canvas_width": 256, "canvas_height": CANVAS.height}


def _two_case(name: str, words: str, *, numbers: str | None, flips: bool = True) -> Case:
    frames = [_people(t, numbers=numbers, flips=flips) for t in range(_TWO_FRAMES)]
    return keypoint_case(
        name, frames, people=2, frames=_TWO_FRAMES, notes=[words], expected=_EACH_ITS_OWN
    )


_EACH_ITS_OWN = "each of the two keeps its own joints within 0.01 px"


def _noted(name: str, content: object, *notes: str, canvas: Size | None = None) -> Case:
    """Return a case in which the report must say something."""
    made = keypoint_case(name, content)

    def read(path: Path) -> str:
        reading: Reading = read_with_notes(path, canvas)
        require_notes(reading, notes)
        return "; ".join(reading.notes)

    expected = f'the report says "{notes[0]}"'
    return Case(name=name, expected=expected, make=made.make, read=read)


_BODY = _clip([triples(OPENPOSE, t) for t in _EACH])
_MANY = {"people": [{"pose_keypoints_2d": []}] * 50_000, **SIZE}
_SPARSE = [{"people": [{"pose_keypoints_2d": []}] * 400}, *[{"people": []}] * 1_500]

NUMBER_CASES: tuple[Case, ...] = (
    keypoint_case("fractions, 0..1", _clip(_FRACTIONS), notes=["coordinates are 0..1"]),
    _one_outside(),
    keypoint_case(
        "fractions, -1..1",
        _clip([_in_unit(triples(OPENPOSE, t), lambda v, side: 2 * v / side - 1) for t in _EACH]),
        notes=["coordinates are -1..1"],
    ),
    keypoint_case(
        "body in pixels, hands in fractions",
        _clip(
            [triples(OPENPOSE, t) for t in _EACH],
            hand_left_keypoints_2d=[_in_unit(triples(HANDS["left_hand"], t)) for t in _EACH],
        ),
        seen=(*OPENPOSE, *HANDS["left_hand"]),
        notes=["coordinates of left hand are 0..1"],
    ),
    keypoint_case(
        "some frames in pixels, some in fractions",
        _clip([_FRACTIONS[0], triples(OPENPOSE, 1), _FRACTIONS[2]]),
        notes=["coordinates of body are 0..1 of the canvas in 2 of 3 frames"],
    ),
    _noted(
        "canvas smaller than the figure",
        [frame | {"canvas_width": 40, "canvas_height": 40} for frame in _BODY],
        "of the points lie off the canvas 40x40",
    ),
    _noted(
        "canvas far larger than the figure",
        [frame | {"canvas_width": 8000, "canvas_height": 8000} for frame in _BODY],
        "pixels large on the canvas 8000x8000",
    ),
    _noted(
        "canvas given that the file contradicts",
        _BODY,
        "the file names the canvas 128x160; 64x64 is not used",
        canvas=Size(64, 64),
    ),
    keypoint_case(
        "canvas of 0 pixels",
        [frame | {"canvas_width": 0} for frame in _BODY],
        refusal="got canvas 0 x 160",
    ),
    _two_case("two people whose order flips, person_id", "by person_id", numbers="person_id"),
    _two_case("two people whose order flips, track_id", "by track_id", numbers="track_id"),
    _two_case("two people whose order flips, without numbers", "by their places", numbers=None),
    keypoint_case(
        "NaN, infinity and null as coordinates",
        '{"people": [{"pose_keypoints_2d": '
        + json.dumps([float("nan"), 1, 1, None, 1, 1, 1e300, 1, 1, *triples(OPENPOSE)[9:]])
        + '}], "canvas_width": 128, "canvas_height": 160}',
        frames=1,
        seen=OPENPOSE[3:],
    ),
    keypoint_case("50,000 people in a frame", _MANY, refusal="50,000 people; there may be 500"),
    keypoint_case(
        "a small file that asks for gigabytes",
        _SPARSE,
        canvas=CANVAS,
        refusal="frames times people may be 400,000",
    ),
    keypoint_case("JSON nested 100,000 deep", "[" * 100_000, refusal="nested too deeply"),
    keypoint_case(
        "x, y, z in pixels instead of confidences",
        _clip([[v if i % 3 < 2 else 300.0 for i, v in enumerate(triples(OPENPOSE))]]),
        refusal="are no confidences",
    ),
    keypoint_case("a file cut short", '[{"people": [', refusal="it is not JSON"),
    keypoint_case("no frames", [], refusal="at least one frame record"),
    keypoint_case(
        "text in the place of numbers",
        [{"people": [{"pose_keypoints_2d": ["a", 1, 1]}], **SIZE}],
        refusal="got pose_keypoints_2d ['a', 1, 1]; it must be a flat list",
    ),
)
