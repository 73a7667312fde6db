"""Keypoint files of all layouts: how many points a body, a hand or a face has, in which order."""

from collections.abc import Sequence
from pathlib import Path

from animate_anyone.pose.files.keypoints import read_with_notes

from .case import Case, MismatchError
from .figure import (
    ABSENT,
    CANVAS,
    COCO,
    FACE,
    FEET,
    FRAMES,
    HANDS,
    OPENPOSE,
    keypoint_case,
    place,
    triples,
)
from .odd.judging import told

SIZE = {"canvas_width": CANVAS.width, "canvas_height": CANVAS.height}
BODY_25 = (*OPENPOSE[:8], "mid_hip", *OPENPOSE[8:], *FEET)
HALPE = (
    *COCO,
    *(ABSENT, "neck", "mid_hip"),
    *(f"{side}_{toe}" for toe in ("big_toe", "small_toe", "heel") for side in ("left", "right")),
)
WHOLE = (*FACE, *HANDS["left_hand"], *HANDS["right_hand"])
MEDIAPIPE = (
    "nose",
    *(ABSENT, "left_eye", ABSENT, ABSENT, "right_eye", ABSENT, "left_ear", "right_ear"),
    *(ABSENT, ABSENT),  # the mouth
    *(f"{side}_{joint}" for joint in ("shoulder", "elbow", "wrist") for side in ("left", "right")),
    *[ABSENT] * 6,  # three fingers of each hand
    *(f"{side}_{joint}" for joint in ("hip", "knee", "ankle") for side in ("left", "right")),
    *("left_heel", "right_heel", "left_big_toe", "right_big_toe"),
)
ALL = (*OPENPOSE, *FEET, *WHOLE)


def _side(side: str, *joints: str) -> tuple[str, ...]:
    return tuple(f"{side}_{joint}" for joint in joints)


_ARM, _LEG = ("shoulder", "elbow", "wrist"), ("hip", "knee", "ankle")
HUMAN36M = (
    *("mid_hip", *_side("right", *_LEG), *_side("left", *_LEG), "spine", "neck", "nose"),
    *("head_top", *_side("left", *_ARM), *_side("right", *_ARM)),
)
# In the order of Kinect and SMPL the nose stands for the middle of the head.
_KINECT = (
    *("mid_hip", "spine", "neck", "nose", *_side("left", *_ARM, "palm")),
    *(*_side("right", *_ARM, "palm"), *_side("left", *_LEG, "big_toe")),
    *_side("right", *_LEG, "big_toe"),
)
_PAIRS = tuple(
    f"{side}_{joint}"
    for joint in ("shoulder", "elbow", "wrist", "palm")
    for side in ("left", "right")
)
_SMPL = (
    *("mid_hip", "left_hip", "right_hip", "spine", "left_knee", "right_knee", "spine"),
    *("left_ankle", "right_ankle", "neck", "left_big_toe", "right_big_toe", "neck"),
    *("left_shoulder", "right_shoulder", "nose", *_PAIRS),
)
_TOES = ("left_big_toe", "right_big_toe")
_LIMBS = tuple(name for name in OPENPOSE if "eye" not in name and "ear" not in name)


def _more(name: str) -> tuple[str, ...]:
    """Return what the report must say besides of a layout that knows no nose."""
    known = name.startswith(("Kinect", "SMPL", "MPI"))
    return ("knows no nose: the middle of the head is taken",) if known else ()


_RIVALS: dict[str, tuple[Sequence[str], Sequence[str]]] = {
    "Human3.6M 17": (HUMAN36M, _LIMBS),
    "PoseTrack 17": (
        ("nose", "head_bottom", "head_top", *COCO[3:]),
        [name for name in OPENPOSE if "eye" not in name],
    ),
    "MPI-INF-3DHP 17": (
        ("head_top", *OPENPOSE[1:14], "mid_hip", "spine", "nose"),
        _LIMBS,
    ),
    "COCO 17 and neck": ((*COCO, "neck"), OPENPOSE),
    "Panoptic 19": (
        (
            *("neck", "nose", "mid_hip", *_side("left", *_ARM, *_LEG)),
            *(*_side("right", *_ARM, *_LEG), "left_eye", "left_ear", "right_eye", "right_ear"),
        ),
        OPENPOSE,
    ),
    "Kinect 20": (_KINECT, (*_LIMBS, *_TOES)),
    "SMPL 24": (_SMPL, (*_LIMBS, *_TOES)),
    "BODY_25B": ((*COCO, "neck", "head_top", *FEET), (*OPENPOSE, *FEET)),
    "Kinect 25": (
        (*_KINECT, "neck", "left_palm", "left_palm", "right_palm", "right_palm"),
        (*_LIMBS, *_TOES),
    ),
}
_HIPLESS = {"mid_hip", "left_hip", "right_hip", "left_knee", "right_knee"}
_LEGS = {*_HIPLESS, "left_ankle", "right_ankle", *FEET}
# MediaPipe's documented vertices, and the points of iBUG that they are.
_VERTICES = {1: 30, 152: 8, 33: 36, 133: 39, 362: 42, 263: 45, 61: 48, 291: 54, 0: 51, 17: 57}


def clip_of(names: Sequence[str], **fields: Sequence[str]) -> list[dict]:
    """Return POSE_KEYPOINT of the figure; `names` are the body's points, `fields` other parts."""
    lists = {"pose_keypoints_2d": names, **fields}
    return [
        {
            "people": [{field: triples(order, frame) for field, order in lists.items()}],
            **SIZE,
        }
        for frame in range(FRAMES)
    ]


def without(names: Sequence[str], lost: set[str]) -> list[str]:
    """Return the names with some points absent."""
    return [ABSENT if name in lost else name for name in names]


def _mesh(count: int) -> list[str]:
    """Return the points of a mesh: documented vertices at points of the face, others anywhere."""
    return [f"face {_VERTICES[i]}" if i in _VERTICES else "face 0" for i in range(count)]


def _mesh_case(count: int) -> Case:
    case = keypoint_case(
        f"face mesh of {count} points",
        clip_of(OPENPOSE, face_keypoints_2d=_mesh(count)),
        expected="eyes, nose, chin and mouth within 0.01 px",
    )

    def read(path: Path) -> str:
        clip = read_with_notes(path).clip
        for point in _VERTICES.values():
            found, truth = clip.face.xy[0, 0, point], place(f"face {point}")
            if abs(found - truth).max() > 0.01:
                raise MismatchError(f"face {point} is at {found.tolist()}, not {truth}")
        return f"{int(clip.face.confidence[0, 0].sum() > 60)} face of 68 points"

    return Case(name=case.name, expected=case.expected, make=case.make, read=read)


def _layout(name: str, names: Sequence[str], seen: Sequence[str], *notes: str) -> Case:
    return keypoint_case(f"POSE_KEYPOINT, {name}", clip_of(names), seen=seen, notes=notes)


_UPPER = tuple(without(BODY_25, _LEGS))
LAYOUT_CASES: tuple[Case, ...] = (
    _layout("18 points of OpenPose", OPENPOSE, OPENPOSE),
    _layout("18 and big toes, 20 points", (*OPENPOSE, *_TOES), (*OPENPOSE, *_TOES)),
    _layout("18 and feet, 24 points", (*OPENPOSE, *FEET), (*OPENPOSE, *FEET)),
    _layout("BODY_25", BODY_25, (*OPENPOSE, *FEET), "BODY_25"),
    _layout(
        "BODY_25 without hips and knees",
        without(BODY_25, _HIPLESS),
        without((*OPENPOSE, *FEET), _HIPLESS),
        "BODY_25",
    ),
    _layout("BODY_25 of the upper body", _UPPER, without(OPENPOSE, _LEGS), "BODY_25"),
    _layout(
        "BODY_25 of a back with one hip",
        without(BODY_25, {*_LEGS - {"mid_hip", "right_hip"}, *OPENPOSE[14:], "nose"}),
        without(OPENPOSE, {*_LEGS - {"right_hip"}, *OPENPOSE[14:], "nose"}),
        "BODY_25",
    ),
    _layout("18 points and seven more", (*OPENPOSE, *["neck"] * 7), OPENPOSE, "seven more"),
    _layout("BODY_19", BODY_25[:19], OPENPOSE, "BODY_19"),
    _layout("17 points of COCO", COCO, OPENPOSE, "COCO 17"),
    _layout("HALPE of 26", HALPE, (*OPENPOSE, *FEET), "HALPE 26"),
    _layout("HALPE of 136", (*HALPE, *WHOLE), ALL, "HALPE 136"),
    _layout("COCO-WholeBody of 133", (*COCO, *FEET, *WHOLE), ALL, "COCO-WholeBody"),
    _layout("DWPose's 134", (*OPENPOSE, *FEET, *WHOLE), ALL, "DWPose 134"),
    _layout(
        "MediaPipe's 33",
        MEDIAPIPE,
        [name for name in (*OPENPOSE, *FEET) if "small" not in name],
        "MediaPipe 33",
    ),
    *(
        _layout(name, names, seen, f"bodies are {name}", "by where the points lie", *_more(name))
        for name, (names, seen) in _RIVALS.items()
    ),
    told(
        "17 points in an order of nobody",
        clip_of([COCO[(5 * i + 3) % 17] for i in range(17)]),
        "bones cross the bodies",
    ),
    keypoint_case(
        "POSE_KEYPOINT with hands, face of 70 and feet",
        clip_of(
            OPENPOSE,
            face_keypoints_2d=(*FACE, "left_eye", "right_eye"),
            hand_left_keypoints_2d=HANDS["left_hand"],
            hand_right_keypoints_2d=HANDS["right_hand"],
            foot_keypoints_2d=FEET,
        ),
        seen=ALL,
    ),
    keypoint_case(
        "face of 68 points", clip_of(OPENPOSE, face_keypoints_2d=FACE), seen=(*OPENPOSE, *FACE)
    ),
    _mesh_case(468),
    _mesh_case(478),
    keypoint_case(
        "body of 16 points (MPII)", clip_of(OPENPOSE[:16]), refusal="with 16 points; known are"
    ),
    keypoint_case(
        "hand of 20 points",
        clip_of(OPENPOSE, hand_left_keypoints_2d=HANDS["left_hand"][:20]),
        refusal="hand_left_keypoints_2d with 20 points",
    ),
    keypoint_case(
        "face of 98 points (WFLW)",
        clip_of(OPENPOSE, face_keypoints_2d=["face 0"] * 98),
        refusal="with 98 points; known are faces of 68, 70, 468, 478",
    ),
)
