"""Small frozen records that all parts share, and the speeds of clips that have none."""

from dataclasses import dataclass
from enum import IntFlag
from fractions import Fraction

import numpy as np

DEFAULT_FPS = Fraction(30)  # of clips without a speed of their own: keypoints, folders
SAMPLE_FPS = Fraction(12)  # at which a training and the demo show what they made


@dataclass(frozen=True)
class Size:
    """Width and height in pixels."""

    width: int
    height: int


class Flag(IntFlag):
    """What was done to a point since it was detected."""

    FILLED = 1  # it was missing and lies between its neighbours in time
    SMOOTHED = 2  # it was moved by a filter over time
    SPIKE = 4  # it jumped away for a moment and was removed, or replaced if FILLED as well
    HELD = 8  # it was missing and stays where it was seen last
    EDITED = 16  # a person moved it, or hid it by hand


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
        """Return some of the frames."""

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
