"""Who is who, which frame comes when, and names of points and fields."""

from typing import Any

from ..case import Case, MismatchError
from ..figure import (
    CANVAS,
    COCO,
    FACE,
    FRAMES,
    OPENPOSE,
    check,
    folder_case,
    keypoint_case,
    place,
    points,
    triples,
)
from ..keypoint_layouts import BODY_25
from .judging import SIZE, Reading, judged, lines, noses, record, speed, told

_EACH = range(FRAMES)
_TWELVE = range(12)
_WIDE = {"canvas_width": 256, "canvas_height": CANVAS.height}


def _both(frame: int, order: tuple[int, ...], **numbers: list[Any]) -> dict[str, Any]:
    """Return a frame of people 40 px apart in this order, with fields of their own."""
    people = [{"pose_keypoints_2d": triples(OPENPOSE, frame, person)} for person in order]
    for name, values in numbers.items():
        for person, value in zip(people, values, strict=True):
            person[name] = value
    return {"people": people, **_WIDE}


def _two(reading: Reading) -> str:
    check(reading, frames=len(reading.clip), people=2)
    return "each of the two keeps its own joints"


def _flipping(**names: tuple[Any, Any]) -> list[dict[str, Any]]:
    """Return twelve frames of two people, who change places in the list in every second one."""
    frames = []
    for t in _TWELVE:
        order = (1, 0) if t % 2 else (0, 1)
        numbers = {name: [values[one] for one in order] for name, values in names.items()}
        frames.append(_both(t, order, **numbers))
    return frames


def _detections(name: str, *, start: int = 0) -> list[dict[str, Any]]:
    """Return a flat list of people who name their frame."""
    return [
        {name: t + start, "keypoints": points(COCO, t, person)} for t in _EACH for person in (0, 1)
    ]


def _numbered(name: str, numbers: tuple[int, ...], **more: Any) -> list[dict[str, Any]]:  # noqa: ANN401
    return [record(t) | {name: number} | more for t, number in enumerate(numbers)]


def _by_names(spell: Any) -> list[dict[str, Any]]:  # noqa: ANN401
    """Return people whose points have names."""
    return [
        {"people": [{"keypoints": {spell(name): [*place(name, t), 0.9] for name in COCO}}], **SIZE}
        for t in _EACH
    ]


def _sizes(*names: tuple[str, ...]) -> list[dict[str, Any]]:
    """Return frames whose bodies have layouts of their own."""
    return [
        {"people": [{"pose_keypoints_2d": triples(layout, t)}], **SIZE}
        for t, layout in enumerate(names)
    ]


def _folder(name: str, files: dict[str, Any], expected: str, judge: Any, **more: Any) -> Case:  # noqa: ANN401
    return folder_case(name, files, expected=expected, check_with=judge, **more)


def _said(*words: str) -> Any:  # noqa: ANN401
    def judge(reading: Reading) -> None:
        said = "; ".join(reading.notes)
        for word in words:
            if word not in said:
                raise MismatchError(f"the report does not say {word!r}: {said}")

    return judge


_KEEPS = "each of the two keeps its own joints within 0.01 px"
PEOPLE: tuple[Case, ...] = (
    *(
        judged(name, _flipping(person_id=numbers), _two, _KEEPS, [f"by {how}"])
        for name, numbers, how in (
            ("person_id as words, order flips", ("anna", "bert"), "person_id"),
            ("person_id of 64 bits", (2**60 + 1, 2**60 + 2), "person_id"),
            ("person_id -1 throughout, order flips", ([-1], [-1]), "their places"),
            ("two people share a person_id, order flips", (3, 3), "their places"),
            ("one of two people without person_id", (3, None), "their places"),
        )
    ),
    judged(
        "id only counts the people of a frame",
        [_both(t, (1, 0) if t % 2 else (0, 1), id=[0, 1]) for t in _TWELVE],
        _two,
        _KEEPS,
        ["by their places"],
    ),
    told(
        "one person whose person_id changes",
        [
            {"people": [{"pose_keypoints_2d": triples(OPENPOSE, t), "person_id": t // 2}], **SIZE}
            for t in _EACH
        ],
        "person_id changes",
    ),
    keypoint_case(
        "people as a record by number",
        [{"people": {"7": {"pose_keypoints_2d": triples(OPENPOSE)}}, **SIZE}],
        refusal="it must be a list of records",
    ),
    *(
        judged(
            f"{name} in a frame",
            [record(), {"people": people, **SIZE}, record(2)],
            noses(64, None, 68),
            "nobody in that frame",
        )
        for name, people in (
            ("people null", None),
            ("a person null", [None]),
            ("a person without fields", [{}]),
        )
    ),
    *(
        judged(
            f"a flat list of people with {name}",
            _detections(name, start=start),
            _two,
            _KEEPS,
            canvas=CANVAS,
        )
        for name, start in (("frame", 0), ("frame_id", 1), ("frame_index", 100), ("image_name", 5))
    ),
    judged(
        "frames with frame_index, not in order",
        [_numbered("frame_index", (0, 1, 2))[t] for t in (2, 0, 1)],
        noses(64, 66, 68),
        "by their numbers",
        ["frame_index"],
    ),
    judged(
        "frames with frame_id, one missing",
        _numbered("frame_id", (4, 5, 7)),
        noses(64, 66, None, 68),
        "a frame without people in the gap",
        ["1 of 4 frame numbers are missing"],
    ),
    judged(
        "every second frame by frame number",
        _numbered("frame", (0, 2, 4)),
        noses(64, 66, 68),
        "one after another; told",
        ["frame numbers rise by 2"],
    ),
    judged(
        "all frames with the same frame_id",
        _numbered("frame_id", (0, 0, 0)),
        noses(64, 66, 68),
        "in the order of the list",
    ),
    keypoint_case(
        "frames by number, one number twice",
        {"1": record(0), "01": record(1), "2": record(2)},
        refusal="frame number 1 twice",
    ),
    judged(
        "frames by number with a gap",
        {"0": record(0), "1": record(1), "3": record(2)},
        noses(64, 66, None, 68),
        "a frame without people in the gap; told",
        ["1 of 4 frame numbers are missing"],
    ),
    judged(
        "frames by number from 1000 on",
        {str(1000 + t): record(t) for t in _EACH},
        noses(64, 66, 68),
        "told",
        ["the first frame is number 1000"],
    ),
    judged(
        "frames by number, null in between",
        {"0": record(0), "1": None, "2": record(2)},
        noses(64, None, 68),
        "nobody in that frame",
    ),
    judged(
        '{"frames": {by number}}',
        {"frames": {str(t): record(t) for t in (1, 0, 2)}},
        noses(64, 66, 68),
        "by their numbers",
    ),
    keypoint_case('{"frames": []}', {"frames": []}, refusal="got no frames"),
    keypoint_case(
        "a batch: a list of lists of frames",
        [[record(0), record(1)], [record(2)]],
        refusal="keypoints frame 0 got",
    ),
    keypoint_case(
        "an array of frames, people, points",
        [[[list(p) for p in points(OPENPOSE, t)]] for t in _EACH],
        refusal="keypoints frame 0 got",
    ),
    speed(
        "the file names 12 frames per second",
        {"fps": 12, "frames": [record(t) for t in _EACH]},
        12,
    ),
    speed(
        "every frame names its time in seconds",
        [record(t) | {"timestamp": t / 12} for t in _EACH],
        12,
    ),
    speed(
        "every frame names its time in thousandths, a frame is missing",
        [record(t) | {"frame_index": t, "timestamp_ms": 40 * t} for t in (0, 1, 3, 4)],
        25,
        "1 of 5 frame numbers are missing",
    ),
    speed(
        "30 frames per second, of which every second is there",
        {"fps": 30, "frames": [record(t) | {"frame_index": 2 * t} for t in _EACH]},
        15,
        "frame numbers rise by 2",
    ),
    speed(
        "a speed as text, 30000/1001",
        {"fps": "30000/1001", "frames": [record(t) for t in _EACH]},
        29.97003,
    ),
    speed(
        "named 30, but ten frames a second by their times",
        {"fps": 30, "frames": [record(t) | {"time": t / 10} for t in _EACH]},
        30,
        "the times of its frames tell 10 frames per second",
    ),
    told(
        "a speed of 0",
        {"fps": 0, "frames": [record(t) for t in _EACH]},
        "fps got 0, which is no speed",
    ),
    told(
        "times that are frame numbers",
        [record(t) | {"time": t} for t in _EACH],
        "time rises by 1 a frame: taken as a number",
    ),
    *(
        judged(
            f"points with names such as {spell('left_shoulder')}",
            _by_names(spell),
            lambda r: check(r, OPENPOSE),
            "18 points within 0.01 px",
            ["of named points"],
        )
        for spell in (
            lambda name: name.upper(),
            lambda name: name.replace("_", " ").title(),
            lambda name: name.split("_")[0] + "".join(map(str.title, name.split("_")[1:])),
            lambda name: name.replace("left_", "L").replace("right_", "R"),
            lambda name: "_".join(reversed(name.split("_"))),
        )
    ),
    keypoint_case(
        "points with names, no legs",
        [{"people": [{"keypoints": {n: [*place(n), 0.9] for n in COCO[:11]}}], **SIZE}],
        refusal="a person's must hold",
    ),
    keypoint_case(
        "layouts of 17, 18 and 25 points in one clip",
        _sizes(COCO, OPENPOSE, (*BODY_25[:19], *["absent"] * 6)),
    ),
    keypoint_case("layouts of 17 and 18 points in turn", _sizes(COCO, OPENPOSE, COCO)),
    keypoint_case(
        "two people of 17 and 18 points in one frame",
        [
            {
                "people": [
                    {"pose_keypoints_2d": triples(COCO, t)},
                    {"pose_keypoints_2d": triples(OPENPOSE, t, 1)},
                ],
                **_WIDE,
            }
            for t in _EACH
        ],
        people=2,
    ),
    keypoint_case(
        "a face alone",
        [{"people": [{"face_keypoints_2d": triples(FACE, t)}], **SIZE} for t in _EACH],
        seen=FACE,
    ),
    keypoint_case(
        "14 points (CrowdPose, AI Challenger)",
        [{"people": [{"keypoints": triples(OPENPOSE[:14])}], **SIZE}],
        refusal="with 14 points; known are",
    ),
    keypoint_case(
        "24 points of SMPL in space",
        [{"people": [{"joints3d": [[0, 0, 1]] * 24}], **SIZE}],
        refusal="a person with the keys joints3d",
    ),
    keypoint_case(
        "trailing comma",
        '[{"people": [], "canvas_width": 64, "canvas_height": 64},]',
        refusal="it is not JSON",
    ),
    keypoint_case(
        "comments in the file",
        '[{"people": [] /* nobody */, "canvas_width": 64, "canvas_height": 64}]',
        refusal="it is not JSON",
    ),
    keypoint_case(
        "Python's quotes",
        "[{'people': [], 'canvas_width': 64, 'canvas_height': 64}]",
        refusal="it is not JSON",
    ),
    keypoint_case(
        "two values one after another", '{"people": []}{"people": []}', refusal="it is not JSON"
    ),
    keypoint_case("JSON in a text of JSON", '"[{\\"people\\": []}]"', refusal="it must be a list"),
    keypoint_case(
        "JSON Lines with Windows' ends and an empty line",
        lines([record(0), record(1), record(2)], "\r\n") + b"\r\n\r\n",
    ),
    keypoint_case(
        "JSON Lines, the last one cut short",
        lines([record(0), record(1)]) + b'\n{"people": [{"po',
        refusal="it is not JSON",
    ),
    keypoint_case(
        "UTF-16 with a byte order mark",
        str([record(t) for t in _EACH]).replace("'", '"').encode("utf-16"),
    ),
    keypoint_case("a null byte within", b'[{"people": [\0]}]', refusal="it is not JSON"),
    _folder(
        "folder in which a file is missing",
        {f"f{n}.json": record(t) for t, n in enumerate((0, 1, 3))},
        "one after another; told",
        _said("1 of 4 file numbers are missing"),
    ),
    _folder(
        "folder of keypoints of two takes",
        {f"{take}_{t}.json": record(t) for take in "ab" for t in _EACH},
        "one after another; told",
        _said("names of 2 kinds"),
    ),
    _folder(
        "folder with .JSON in capitals",
        {f"{t}.JSON": record(t) for t in _EACH},
        "18 points within 0.01 px",
        check,
    ),
    _folder(
        "folder with an empty file",
        {"0.json": record(0), "1.json": ""},
        "refused, with the file's name",
        check,
        refusal="1.json; it is not JSON",
    ),
    _folder(
        "folder with a whole clip in a file",
        {"0.json": record(0), "clip.json": [record(0), record(1)]},
        "refused",
        check,
        refusal="with clips in its files",
    ),
)
