"""The OpenPose skeleton as data."""

import numpy as np

from ...types import Points, PoseClip, Size

Colour = tuple[int, int, int]

BODY_JOINTS = (
    "nose",
    "neck",
    "right_shoulder",
    "right_elbow",
    "right_wrist",
    "left_shoulder",
    "left_elbow",
    "left_wrist",
    "right_hip",
    "right_knee",
    "right_ankle",
    "left_hip",
    "left_knee",
    "left_ankle",
    "right_eye",
    "left_eye",
    "right_ear",
    "left_ear",
)
# Limb i is drawn in COLOURS[i] darkened to 0.6, joint j in COLOURS[j]; RGB.
BODY_EDGES = (
    (1, 2),
    (1, 5),
    (2, 3),
    (3, 4),
    (5, 6),
    (6, 7),
    (1, 8),
    (8, 9),
    (9, 10),
    (1, 11),
    (11, 12),
    (12, 13),
    (1, 0),
    (0, 14),
    (14, 16),
    (0, 15),
    (15, 17),
)
COLOURS: tuple[Colour, ...] = (
    (255, 0, 0),
    (255, 85, 0),
    (255, 170, 0),
    (255, 255, 0),
    (170, 255, 0),
    (85, 255, 0),
    (0, 255, 0),
    (0, 255, 85),
    (0, 255, 170),
    (0, 255, 255),
    (0, 170, 255),
    (0, 85, 255),
    (0, 0, 255),
    (85, 0, 255),
    (170, 0, 255),
    (255, 0, 255),
    (255, 0, 170),
    (255, 0, 85),
)
HAND_EDGES = tuple(
    (0 if step == 0 else 4 * finger + step, 4 * finger + step + 1)
    for finger in range(5)
    for step in range(4)
)
HAND_COLOURS: tuple[Colour, ...] = (
    (255, 0, 0),
    (255, 77, 0),
    (255, 153, 0),
    (255, 229, 0),
    (204, 255, 0),
    (128, 255, 0),
    (51, 255, 0),
    (0, 255, 25),
    (0, 255, 102),
    (0, 255, 179),
    (0, 255, 255),
    (0, 178, 255),
    (0, 102, 255),
    (0, 25, 255),
    (51, 0, 255),
    (128, 0, 255),
    (204, 0, 255),
    (255, 0, 230),
    (255, 0, 153),
    (255, 0, 77),
)
HAND_JOINT_COLOUR: Colour = (0, 0, 255)
FACE_COLOUR: Colour = (255, 255, 255)
PART_JOINTS = {"body": 18, "left_hand": 21, "right_hand": 21, "face": 68, "feet": 6}
VISIBLE = 0.3  # confidence from which a point counts as seen
LARGEST_PX = 16_384  # longest side of a canvas, as of H.264; more must be a mistake

assert len(BODY_JOINTS) == len(COLOURS) == PART_JOINTS["body"]
assert len(BODY_EDGES) == 17
assert len(HAND_EDGES) == len(HAND_COLOURS) == 20


def empty_points(frames: int, people: int, joints: int) -> Points:
    """Return points that are all missing."""
    return Points(
        xy=np.zeros((frames, people, joints, 2)), confidence=np.zeros((frames, people, joints))
    )


def body_clip(
    canvas: Size,
    xy: np.ndarray,  # (f, p, 18, 2), pixels
    confidence: np.ndarray | None = None,  # (f, p, 18), 0..1; None: all seen
) -> PoseClip:
    """Return a clip of bodies only; all points of hands, face and feet are missing."""
    frames, people = xy.shape[:2]
    if confidence is None:
        confidence = np.ones((frames, people, PART_JOINTS["body"]))
    parts = {
        part: empty_points(frames, people, joints)
        for part, joints in PART_JOINTS.items()
        if part != "body"
    }
    body = Points(xy=np.asarray(xy, np.float64), confidence=np.asarray(confidence, np.float64))
    return PoseClip(canvas=canvas, body=body, **parts)
