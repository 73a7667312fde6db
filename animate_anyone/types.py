"""Small frozen records that all parts share."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Size:
    """Width and height in pixels."""

    width: int
    height: int


@dataclass(frozen=True, kw_only=True)
class Points:
    """A group of keypoints of one kind over a clip.

    Missing points have confidence 0 and any finite coordinates.
    """

    xy: np.ndarray  # (f, p, j, 2), float64, pixels of the canvas, x then y
    confidence: np.ndarray  # (f, p, j), float64, 0..1


@dataclass(frozen=True, kw_only=True)
class PoseClip:
    """Skeletons of p people over f frames, in pixels of one canvas."""

    canvas: Size
    body: Points  # j = 18, OpenPose order
    left_hand: Points  # j = 21
    right_hand: Points  # j = 21
    face: Points  # j = 68
    feet: Points  # j = 6: left big toe, small toe, heel, then right

    def __len__(self) -> int:
        """Return the number of frames."""
        return self.body.xy.shape[0]
