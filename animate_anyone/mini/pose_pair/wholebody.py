"""The 133 points of COCO-WholeBody on drawn characters.

Order: 17 of the body, 6 of the feet, 68 of the face, 21 of the left hand, 21 of the right hand
(Jin et al., "Whole-Body Human Pose Estimation in the Wild"). There is no neck.
"""

import numpy as np

from ...drawn.details import FACE as FACE_PLACES
from ...drawn.details import Part
from ...drawn.painting import Painting
from ...pose.skeleton.layouts import BODY, COCO_BODY, FACE, FEET, WHOLEBODY

POINTS = WHOLEBODY.keypoints
POINT_GROUPS = {"body": COCO_BODY, "feet": FEET, "face": FACE, "hands": slice(91, 133)}
OPENPOSE = [BODY.index(point) for point in range(COCO_BODY.stop)]  # joint of every body point


def wholebody(painting: Painting) -> Part:
    """Return the points of a painted figure: (133, 2) pixels, (133,) visible."""
    parts = [
        Part(painting.joints[OPENPOSE], painting.visible[OPENPOSE]),
        *(painting.details[name] for name in ("feet", "face", "left_hand", "right_hand")),
    ]
    return Part(
        np.concatenate([part.xy for part in parts]),
        np.concatenate([part.visible for part in parts]),
    )


def torso_length(
    xy: np.ndarray,  # (133, 2)
) -> float:
    """Return the distance from the middle of the shoulders to the middle of the hips."""
    return float(np.linalg.norm(xy[5:7].mean(0) - xy[11:13].mean(0)))


def _mirror_table() -> np.ndarray:
    """Return, for each point, the index of the point that replaces it in a mirrored picture."""
    body = [0, *(j + 1 if j % 2 else j - 1 for j in range(1, 17))]
    feet = np.roll(np.arange(17, 23), 3)
    distance = np.linalg.norm(FACE_PLACES[:, None] * [-1, 1] - FACE_PLACES, axis=-1)
    face = FACE.start + distance.argmin(1)
    return np.concatenate([body, feet, face, np.arange(112, 133), np.arange(91, 112)])


MIRROR = _mirror_table()
assert (MIRROR[MIRROR] == np.arange(POINTS)).all()
