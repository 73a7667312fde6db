"""COCO-WholeBody's 133 keypoints as OpenPose's parts.

Order: 0-16 body of COCO, 17-22 feet, 23-90 face, 91-111 left hand, 112-132 right hand.
"""

import numpy as np

from ...types import Points, PoseClip, Size
from .joints import PART_JOINTS, VISIBLE

KEYPOINTS = 133
COCO_BODY = slice(0, 17)
FEET = slice(17, 23)  # left big toe, small toe, heel, then right
FACE = slice(23, 91)
LEFT_HAND = slice(91, 112)
RIGHT_HAND = slice(112, 133)
_LEFT_SHOULDER, _RIGHT_SHOULDER = 5, 6
_NECK = KEYPOINTS  # put behind the others, for COCO has none
BODY = (0, _NECK, 6, 8, 10, 5, 7, 9, 12, 14, 16, 11, 13, 15, 2, 1, 4, 3)

assert len(BODY) == PART_JOINTS["body"]


def to_clip(
    canvas: Size,
    xy: np.ndarray,  # (f, p, 133, 2), pixels
    scores: np.ndarray,  # (f, p, 133), raw: below 0 and above 1 happen
) -> PoseClip:
    """Return the keypoints as a clip; those that are nowhere get confidence 0 at (0, 0)."""
    xy, scores = np.asarray(xy, np.float64), np.asarray(scores, np.float64)
    neck, neck_score = _neck(xy, scores)
    xy = np.concatenate([xy, neck[:, :, None]], 2)
    scores = np.concatenate([scores, neck_score[:, :, None]], 2)
    return PoseClip(
        canvas=canvas,
        body=_points(xy[:, :, BODY], scores[:, :, BODY]),
        left_hand=_points(xy[:, :, LEFT_HAND], scores[:, :, LEFT_HAND]),
        right_hand=_points(xy[:, :, RIGHT_HAND], scores[:, :, RIGHT_HAND]),
        face=_points(xy[:, :, FACE], scores[:, :, FACE]),
        feet=_points(xy[:, :, FEET], scores[:, :, FEET]),
    )


def _neck(xy: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the middle of the shoulders, as sure as the less sure one, if both are seen."""
    pair = [_LEFT_SHOULDER, _RIGHT_SHOULDER]
    weaker = scores[:, :, pair].min(2)
    return xy[:, :, pair].mean(2), np.where(weaker >= VISIBLE, weaker, 0.0)


def _points(xy: np.ndarray, scores: np.ndarray) -> Points:
    confidence = np.clip(np.nan_to_num(scores, nan=0.0), 0.0, 1.0)
    confidence[~np.isfinite(xy).all(-1)] = 0.0
    return Points(xy=np.where(confidence[..., None] > 0, xy, 0.0), confidence=confidence)
