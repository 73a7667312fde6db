"""Keypoint files as their makers write them."""

import json
from typing import Any

from animate_anyone.pose.files.keypoints import Reading, read_with_notes, to_keypoints
from animate_anyone.pose.skeleton.joints import body_clip

from .case import Case, MismatchError
from .figure import (
    CANVAS,
    COCO,
    FACE,
    FEET,
    FRAMES,
    HANDS,
    OPENPOSE,
    body_x,
    check,
    folder_case,
    keypoint_case,
    pairs,
    place,
    points,
    require_notes,
    triples,
)
from .keypoint_layouts import BODY_25, HALPE, HUMAN36M, MEDIAPIPE, SIZE
from .odd.judging import told

_EACH = range(FRAMES)
_FEET_TOO = (*OPENPOSE, *FEET)


def _openpose(frame: int, **more: Any) -> dict[str, Any]:  # noqa: ANN401  (fields of the record)
    person = {
        "person_id": [-1],
        "pose_keypoints_2d": triples(BODY_25, frame),
        "face_keypoints_2d": [],
        "hand_left_keypoints_2d": [],
        "hand_right_keypoints_2d": [],
        "pose_keypoints_3d": [],
    }
    return {"version": 1.3, "people": [person | more]}


def _alphapose(names: tuple[str, ...], frame: int, image: object) -> dict[str, Any]:
    return {
        "image_id": image,
        "category_id": 1,
        "keypoints": triples(names, frame),
        "score": 2.9,
        "box": [38, 20, 50, 100],
        "idx": 1,
    }


def _instance(frame: int) -> dict[str, Any]:
    return {
        "keypoints": points(COCO, frame),
        "keypoint_scores": [0.9] * 17,
        "bbox": [[38, 20, 92, 120]],
        "bbox_score": 0.9,
    }


def _annotations(names: tuple[str, ...] = COCO, **category: Any) -> dict[str, Any]:  # noqa: ANN401
    size = {"width": CANVAS.width, "height": CANVAS.height}
    # Listed backwards: the order of images is that of their file names.
    images = [{"id": 70 - t, "file_name": f"frame{t + 8}.jpg", **size} for t in reversed(_EACH)]
    annotations = [
        {
            "id": 500 + t,
            "image_id": 70 - t,
            "category_id": 1,
            "keypoints": [2 if i % 3 == 2 else v for i, v in enumerate(triples(names, t))],
            "num_keypoints": len(names),
            "bbox": [38, 20, 50, 100],
        }
        for t in _EACH
    ]
    people = {"id": 1, "name": "person"} | category
    return {"images": images, "annotations": annotations, "categories": [people]}


def _whole_annotations() -> dict[str, Any]:
    value = _annotations()
    for t, annotation in enumerate(value["annotations"]):
        annotation |= {
            "foot_kpts": triples(FEET, t),
            "face_kpts": triples(FACE, t),
            "lefthand_kpts": triples(HANDS["left_hand"], t),
            "righthand_kpts": triples(HANDS["right_hand"], t),
        }
    return value


def _landmarks(names: tuple[str, ...], frame: int) -> list[dict[str, float]]:
    return [
        {"x": x / CANVAS.width, "y": y / CANVAS.height, "z": -0.3, "visibility": 0.9}
        for x, y in points(names, frame)
    ]


def _named(frame: int) -> list[dict[str, Any]]:
    places = zip(COCO, points(COCO, frame), strict=True)
    return [{"x": x, "y": y, "score": 0.9, "name": name} for name, (x, y) in places]


_MEDIAPIPE_SEEN = [name for name in _FEET_TOO if "small" not in name]
_SHUFFLED = COCO[::-1]


def _in_order(reading: Reading) -> None:
    check(reading, _FEET_TOO)


def _twelve(reading: Reading) -> None:
    if body_x(reading.clip) != [64.0 + 2 * t for t in range(12)]:
        raise MismatchError(f"frames come in another order: {body_x(reading.clip)}")


def _skipped(reading: Reading) -> None:
    check(reading, _FEET_TOO)
    require_notes(reading, ["no frames were skipped: camera.json, notes.txt"])


def _gap(reading: Reading) -> None:
    seen = reading.clip.body.confidence[:, 0, 0] > 0
    if seen.tolist() != [True, True, False, True]:
        raise MismatchError(f"nobody is where somebody should be: {seen.tolist()}")
    require_notes(reading, ["1 of 4 frame numbers are missing"])


def _own_case() -> Case:
    import numpy as np

    xy = np.array([[points(OPENPOSE, t)] for t in _EACH], np.float64)
    confidence = np.full(xy.shape[:3], 0.75)
    confidence[:, :, 3] = 0.125
    case = keypoint_case(
        "this pack's own file",
        to_keypoints(body_clip(CANVAS, xy, confidence)),
        expected="positions and confidences exactly as written",
    )

    def read(path) -> str:  # noqa: ANN001  (a Path)
        reading = read_with_notes(path)
        body = reading.clip.body
        if not np.array_equal(body.xy, xy) or not np.array_equal(body.confidence, confidence):
            raise MismatchError("positions or confidences have changed")
        if reading.notes:
            raise MismatchError(f"nothing was assumed, but the report says {reading.notes}")
        return "exactly as written"

    return Case(name=case.name, expected=case.expected, make=case.make, read=read)


_GAPS = [_alphapose(HALPE, t, f"{t}.jpg") for t in (0, 1, 3)]
MAKER_CASES: tuple[Case, ...] = (
    _own_case(),
    folder_case(
        "OpenPose's folder, one file a frame",
        {f"clip_{t:012d}_keypoints.json": _openpose(t) for t in _EACH},
        expected="18 joints and feet within 0.01 px, with --canvas",
        check_with=_in_order,
    ),
    folder_case(
        "OpenPose's folder without its canvas",
        {f"clip_{t:012d}_keypoints.json": _openpose(t) for t in _EACH},
        expected="refused: the size of the picture is unknown",
        check_with=_in_order,
        canvas=None,
        refusal="pass its size (--canvas WxH",
    ),
    folder_case(
        "folder whose numbers have no leading zeros",
        {f"frame{t}.json": _openpose(t) for t in range(12)},
        expected="frame2 before frame10",
        check_with=_twelve,
    ),
    folder_case(
        "folder with other files and macOS's hidden ones",
        {
            **{f"{t}.json": _openpose(t) for t in _EACH},
            "._0.json": "\0",
            "camera.json": {"fov": 60},
            "notes.txt": "take one",
        },
        expected="the frames alone; the report names camera.json and notes.txt",
        check_with=_skipped,
    ),
    folder_case(
        "folder of AlphaPose's CMU form",
        {
            f"{t}.json": {"version": "AlphaPose v0.3", "bodies": [{"joints": triples(OPENPOSE, t)}]}
            for t in _EACH
        },
        expected="18 joints within 0.01 px",
        check_with=check,
    ),
    folder_case(
        "folder with a frame cut short",
        {"0.json": _openpose(0), "1.json": '{"people": ['},
        expected='refused: "1.json; it is not JSON"',
        check_with=check,
        refusal="1.json; it is not JSON",
    ),
    keypoint_case(
        "first OpenPose: pose_keypoints",
        {
            "version": 0.1,
            "people": [
                {
                    "pose_keypoints": triples(OPENPOSE),
                    "hand_left_keypoints": triples(HANDS["left_hand"]),
                }
            ],
        },
        canvas=CANVAS,
        frames=1,
        seen=(*OPENPOSE, *HANDS["left_hand"]),
    ),
    keypoint_case(
        "older pose editor: width, height, keypoints",
        {"width": CANVAS.width, "height": CANVAS.height, "keypoints": [points(OPENPOSE)]},
        frames=1,
        notes=["read as: pose editor", "no confidence"],
    ),
    keypoint_case(
        "pose editor, a joint removed (null)",
        {
            "width": CANVAS.width,
            "height": CANVAS.height,
            "keypoints": [[None, *points(OPENPOSE)[1:]]],
        },
        frames=1,
        seen=OPENPOSE[1:],
    ),
    keypoint_case(
        "one record alone, not in a list",
        {"people": [{"pose_keypoints_2d": triples(OPENPOSE)}], **SIZE},
        frames=1,
    ),
    keypoint_case(
        "pairs without confidence",
        [{"people": [{"pose_keypoints_2d": pairs(OPENPOSE, t)}], **SIZE} for t in _EACH],
        notes=["no confidence"],
    ),
    keypoint_case(
        "nested points [[x, y, c], ...]",
        [
            {"people": [{"pose_keypoints_2d": [[*p, 0.9] for p in points(OPENPOSE, t)]}], **SIZE}
            for t in _EACH
        ],
    ),
    keypoint_case(
        "AlphaPose, 17 points",
        [_alphapose(COCO, t, f"{t}.jpg") for t in _EACH],
        canvas=CANVAS,
        notes=["AlphaPose", "COCO 17"],
    ),
    keypoint_case(
        "AlphaPose, HALPE of 26",
        [_alphapose(HALPE, t, f"{t}.jpg") for t in _EACH],
        canvas=CANVAS,
        seen=_FEET_TOO,
    ),
    Case(
        name="AlphaPose, nobody in a frame",
        expected="the frame without an entry shows nobody",
        make=keypoint_case("", _GAPS).make,
        read=lambda path: str(_gap(read_with_notes(path, CANVAS)) or "frame 2 is empty"),
    ),
    keypoint_case(
        "AlphaPose's OpenPose form: frames by file name",
        {
            f"{t}.jpg": {
                "version": "AlphaPose",
                "people": [{"pose_keypoints_2d": triples(OPENPOSE, t)}],
            }
            for t in _EACH
        },
        canvas=CANVAS,
        notes=["frames by number"],
    ),
    keypoint_case(
        "COCO results (numbers as image_id)",
        [_alphapose(COCO, t, t + 1) for t in _EACH],
        canvas=CANVAS,
    ),
    keypoint_case(
        "COCO-WholeBody annotations",
        _whole_annotations(),
        seen=(*_FEET_TOO, *FACE, *HANDS["left_hand"], *HANDS["right_hand"]),
    ),
    keypoint_case("COCO annotations", _annotations(), notes=["COCO annotations", "by file name"]),
    keypoint_case(
        "COCO annotations whose category names the points in another order",
        _annotations(_SHUFFLED, keypoints=list(_SHUFFLED)),
        notes=["of named points"],
    ),
    keypoint_case(
        "COCO annotations with the names of Human3.6M, whose ankles are feet",
        _annotations(
            HUMAN36M,
            keypoints=[
                {"mid_hip": "root", "neck": "thorax", "nose": "neck_base"}.get(
                    name, name.replace("ankle", "foot")
                )
                for name in HUMAN36M
            ],
        ),
        seen=OPENPOSE[1:14],
        notes=["of named points"],
    ),
    keypoint_case(
        "annotations of animals (AP-10K, 17 points)",
        _annotations(
            COCO, keypoints=["L_Eye", "R_Eye", "Nose", "Neck", "Root of tail", *"abcdefghijkl"]
        ),
        refusal="a person's must hold left_shoulder",
    ),
    keypoint_case(
        "COCO annotations of boxes alone",
        {"images": [{"id": 1}], "annotations": [{"image_id": 1, "bbox": [1, 2, 3, 4]}]},
        refusal="annotations without keypoints",
    ),
    keypoint_case(
        "mmpose, video: instance_info",
        {
            "meta_info": {"dataset_name": "coco", "keypoint_id2name": dict(enumerate(COCO))},
            "instance_info": [{"frame_id": t + 1, "instances": [_instance(t)]} for t in _EACH],
        },
        canvas=CANVAS,
        notes=["read as: mmpose"],
    ),
    keypoint_case(
        "mmpose, picture: instance_info", {"instance_info": [_instance(0)]}, canvas=CANVAS, frames=1
    ),
    keypoint_case(
        "mmpose's inferencer: a list of frames",
        [{"frame_id": t, "instances": [_instance(t)]} for t in _EACH],
        canvas=CANVAS,
    ),
    keypoint_case("mmpose's inferencer: a list of people", [_instance(0)], canvas=CANVAS, frames=1),
    keypoint_case(
        '{"frames": [...]} with the canvas beside it',
        {
            "width": CANVAS.width,
            "height": CANVAS.height,
            "frames": [{"people": [{"pose_keypoints_2d": triples(OPENPOSE, t)}]} for t in _EACH],
        },
    ),
    keypoint_case(
        "frames by number, not in order",
        {
            str(t): {"people": [{"pose_keypoints_2d": triples(OPENPOSE, t)}], **SIZE}
            for t in (2, 0, 1)
        },
        notes=["frames by number"],
    ),
    keypoint_case(
        "MediaPipe landmarks",
        [{"pose_landmarks": _landmarks(MEDIAPIPE, t)} for t in _EACH],
        canvas=CANVAS,
        expected="18 joints, heels and toes within 0.01 px; the mouth and fingers are left out",
        seen=_MEDIAPIPE_SEEN,
        notes=["MediaPipe 33", "0..1 of the canvas"],
    ),
    keypoint_case(
        "MediaPipe Tasks: a list of people",
        [
            {"pose_landmarks": [_landmarks(MEDIAPIPE, t)], "pose_world_landmarks": [[]]}
            for t in _EACH
        ],
        canvas=CANVAS,
        seen=_MEDIAPIPE_SEEN,
    ),
    keypoint_case(
        "MediaPipe as protocol buffers: landmark",
        [{"pose_landmarks": {"landmark": _landmarks(MEDIAPIPE, t)}} for t in _EACH],
        canvas=CANVAS,
        seen=_MEDIAPIPE_SEEN,
    ),
    keypoint_case(
        "MediaPipe's world landmarks alone (metres)",
        [{"pose_world_landmarks": _landmarks(MEDIAPIPE, 0)}],
        canvas=CANVAS,
        refusal="the keys pose_world_landmarks",
    ),
    keypoint_case(
        "TensorFlow.js: points with names",
        [[{"keypoints": _named(t), "score": 0.9}] for t in _EACH],
        canvas=CANVAS,
        notes=["of named points"],
    ),
    keypoint_case(
        "points with class_name, in another order",
        [
            {
                "people": [
                    {
                        "keypoints": [
                            {"x": x, "y": y, "confidence": 0.9, "class_name": name}
                            for name in _SHUFFLED
                            for x, y in (place(name, t),)
                        ]
                    }
                ],
                **SIZE,
            }
            for t in _EACH
        ],
        notes=["of named points"],
    ),
    told(
        "hands under names that are not known",
        [
            {
                "people": [
                    {"pose_keypoints_2d": triples(OPENPOSE), "hand_l": triples(HANDS["left_hand"])}
                ],
                **SIZE,
            }
        ],
        "fields that are not known were left out: hand_l",
    ),
    told(
        "a clip of one person in the place of people",
        {"keypoints": [points(COCO, t) for t in _EACH], "width": 128, "height": 160},
        "3 people of the only frame stand nearly in the same place",
    ),
    *(
        keypoint_case(
            f"confidences apart, as {name}",
            [
                {"people": [{"keypoints": points(COCO, t), name: [1.0] * 9 + [0.0] * 8}], **SIZE}
                for t in _EACH
            ],
            seen=(*COCO[:9], "neck"),
        )
        for name in ("scores", "confidence", "keypoints_visible")
    ),
    keypoint_case(
        "Ultralytics: lists of x and y",
        [
            {
                "name": "person",
                "box": {"x1": 38, "y1": 20, "x2": 92, "y2": 120},
                "keypoints": {
                    "x": [x for x, _ in points(COCO)],
                    "y": [y for _, y in points(COCO)],
                    "visible": [0.9] * 17,
                },
            }
        ],
        canvas=CANVAS,
        frames=1,
    ),
    keypoint_case(
        "Kinetics-skeleton: pose and score",
        {
            "label": "dance",
            "data": [
                {
                    "frame_index": t + 1,
                    "skeleton": [
                        {
                            "pose": [
                                v / (CANVAS.height if i % 2 else CANVAS.width)
                                for i, v in enumerate(pairs(OPENPOSE, t))
                            ],
                            "score": [0.9] * 18,
                        }
                    ],
                }
                for t in _EACH
            ],
        },
        canvas=CANVAS,
        notes=["0..1 of the canvas"],
    ),
    keypoint_case(
        "JSON Lines: a record per line",
        "\n".join(
            json.dumps({"people": [{"pose_keypoints_2d": triples(OPENPOSE, t)}], **SIZE})
            for t in _EACH
        ),
    ),
    keypoint_case(
        "UTF-8 with a byte order mark, as Windows writes it",
        b"\xef\xbb\xbf"
        + json.dumps({"people": [{"pose_keypoints_2d": triples(OPENPOSE)}], **SIZE}).encode(),
        frames=1,
    ),
    keypoint_case(
        "animals (AP-10K of an extractor)", [{"animals": [], **SIZE}], refusal="got animals"
    ),
    keypoint_case(
        "points in space alone",
        [{"people": [{"pose_keypoints_2d": [], "pose_keypoints_3d": [1.0] * 72}], **SIZE}],
        refusal="got pose_keypoints_3d and no points of the picture",
    ),
    keypoint_case(
        "a record that is not understood",
        [{"joints3d": [1], "camera": 2, **SIZE}],
        refusal="a record with the keys joints3d, camera, canvas_width, canvas_height; known are",
    ),
    keypoint_case(
        "a person who is not understood",
        [{"people": [{"quaternions": [1]}], **SIZE}],
        refusal="a person with the keys quaternions",
    ),
    keypoint_case(
        "nobody in any frame: people is empty",
        [{"people": [], **SIZE}] * FRAMES,
        expected="three frames without people",
        seen=(),
        people=0,
    ),
)
