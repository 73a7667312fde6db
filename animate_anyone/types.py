"""Small frozen records that all parts share, and default frame rates."""

from dataclasses import dataclass
from enum import IntFlag
from fractions import Fraction

import numpy as np

DEFAULT_FPS = Fraction(30)  # for clips without a frame rate: keypoint files, folders of pictures
SAMPLE_FPS = Fraction(12)  # of the sample clips that training and the demo write


@dataclass(frozen=True)
class Size:
    """Width and height in pixels."""

    width: int
    height: int


class Flag(IntFlag):
    """How a point was changed after it was detected."""

    FILLED = 1  # it was missing and was interpolated over time
    SMOOTHED = 2  # it was moved by the smoothing filter
    SPIKE = 4  # it was an outlier and was removed, or replaced if FILLED is set as well
    HELD = 8  # it was missing and was kept where it was seen last
    EDITED = 16  # it was moved or hidden by hand
    SWAPPED = 32  # it was on the other side of the body and was put back


@dataclass(frozen=True, kw_only=True)
class Points:
    """A group of keypoints of one kind over a clip.

    Missing points have confidence 0 and any finite coordinates.
    """

    xy: np.ndarray  # (f, p, j, 2), float64, pixels of the canvas, x then y
    confidence: np.ndarray  # (f, p, j), float64, 0..1
    flags: np.ndarray | None = None  # (f, p, j), uint8 of Flag; None: all points as detected


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

    def at(self, rows: slice) -> "PoseClip":
        """Return a clip of these frames."""

        def part(points: Points) -> Points:
            flags = None if points.flags is None else points.flags[rows]
            return Points(xy=points.xy[rows], confidence=points.confidence[rows], flags=flags)

        return PoseClip(
            canvas=self.canvas,
            body=part(self.body),
            left_hand=part(self.left_hand),
            right_hand=part(self.right_hand),
            face=part(self.face),
            feet=part(self.feet),
        )
