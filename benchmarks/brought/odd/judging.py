"""Cases of keypoint files whose check is more than the one figure of `figure`."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from animate_anyone.pose.files.keypoints import Reading, read_with_notes
from animate_anyone.types import Size

from ..case import Case, MismatchError
from ..figure import CANVAS, FRAMES, OPENPOSE, keypoint_case, points, require_notes, triples

SIZE = {"canvas_width": CANVAS.width, "canvas_height": CANVAS.height}
Judge = Callable[[Reading], object]  # returns words for the table, or raises MismatchError


def told(
    name: str,
    content: Any,  # noqa: ANN401  (a JSON value, text or bytes)
    *notes: str,  # words that the report must hold
    canvas: Size | None = None,
) -> Case:
    """Return a case that cannot be right, in which the report must say something."""
    return judged(name, content, lambda _: None, f'the report says "{notes[0]}"', notes, canvas)


def judged(
    name: str,
    content: Any,  # noqa: ANN401  (a JSON value, text or bytes)
    judge: Judge,
    expected: str,
    notes: Sequence[str] = (),
    canvas: Size | None = None,
) -> Case:
    """Return a case with a check of its own."""
    made = keypoint_case(name, content)

    def read(path: Path) -> str:
        reading = read_with_notes(path, canvas)
        seen = judge(reading)
        require_notes(reading, notes)
        frames, people = reading.clip.body.xy.shape[:2]
        said = [str(seen)] if seen is not None else [f"frames: {frames}, people: {people}"]
        return "; ".join([*said, *reading.notes])

    return Case(name=name, expected=expected, make=made.make, read=read)


def clip_of(*bodies: Sequence[Any], **more: Any) -> list[dict[str, Any]]:  # noqa: ANN401
    """Return POSE_KEYPOINT with one person per frame; `more` are fields of every person."""
    return [{"people": [{"pose_keypoints_2d": body} | more], **SIZE} for body in bodies]


def figures(convert: Callable[[float, float, float], Sequence[Any]]) -> list[list[Any]]:
    """Return the bodies of all frames as flat lists; `convert` takes x, y, confidence."""
    return [
        [value for x, y in points(OPENPOSE, t) for value in convert(x, y, 0.9)]
        for t in range(FRAMES)
    ]


def record(frame: int = 0, person: int = 0, **more: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return one frame of the figure."""
    return {"people": [{"pose_keypoints_2d": triples(OPENPOSE, frame, person)}], **SIZE, **more}


def confidences(*wanted: float) -> Judge:
    """Return a check of the confidences of the first points of the first person."""

    def judge(reading: Reading) -> str:
        found = reading.clip.body.confidence[0, 0, : len(wanted)]
        if np.abs(found - wanted).max() > 1e-6:
            raise MismatchError(f"confidences are {found.tolist()}, not {wanted}")
        return f"confidences {', '.join(f'{value:g}' for value in found)}"

    return judge


def noses(*wanted: float | None) -> Judge:
    """Return a check of x of the first person's nose in each frame; None: nobody is there."""

    def judge(reading: Reading) -> str:
        body = reading.clip.body
        there = [bool(row.any()) for row in body.confidence[:, :1, 0]]
        found = [
            float(x) if seen else None for x, seen in zip(body.xy[:, 0, 0, 0], there, strict=True)
        ]
        if found != list(wanted):
            raise MismatchError(f"x of the nose is {found}, not {list(wanted)}")
        return f"x of the nose: {found}"

    return judge


def speed(
    name: str,
    content: Any,  # noqa: ANN401  (a JSON value, text or bytes)
    fps: float,
    *notes: str,  # words that the report must hold
) -> Case:
    """Return a case of a file that says how fast its frames follow one another."""

    def judge(reading: Reading) -> str:
        if reading.speed is None or abs(reading.fps - fps) > 1e-3:
            raise MismatchError(f"read as {reading.speed_line()}")
        return reading.speed_line()

    return judged(name, content, judge, f"{fps:g} frames per second", notes)


def lines(values: Sequence[Any], end: str = "\n") -> bytes:
    """Return JSON Lines."""
    return end.join(json.dumps(value) for value in values).encode()
