"""Masks from poses: the hulls of a person's limbs with a margin and a soft edge."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ... import opencv as cv2
from ...errors import InputError
from ...fitting import placement
from ...types import Points, PoseClip, Size
from ..skeleton.joints import VISIBLE

# Joints of the body whose convex hull is part of the mask: trunk and head, each arm, each leg.
# Hands and feet belong to the hull of their limb, the face to that of the head.
TRUNK = [1, 2, 5, 8, 11]
HEAD = [0, 1, 14, 15, 16, 17]
ARMS = {"right_hand": [2, 3, 4], "left_hand": [5, 6, 7]}
LEGS = (([8, 9, 10], [3, 4, 5]), ([11, 12, 13], [0, 1, 2]))  # joints of body and of feet
_DRAWN = 40  # of 0..255: brighter pixels of a picture of skeletons are drawn
_FARTHEST_PX = 30_000  # OpenCV's polygons overflow beyond 32767


@dataclass(frozen=True, kw_only=True)
class PoseMask:
    """How a mask is made from poses. Both lengths are shares of the frame's shorter side."""

    margin: float = 0.1  # around the hulls of the limbs, which run along the bones
    feather: float = 0.05  # width of the soft edge outside the margin

    def __post_init__(self) -> None:
        for name in ("margin", "feather"):
            value = getattr(self, name)
            if not 0 <= value <= 1:
                raise InputError(
                    f"mask {name} got {value}; it is a share of the frame's shorter side, in "
                    f"0..1. Choose {getattr(PoseMask, name):g}, for example."
                )

    def of(
        self,
        clip: PoseClip,
        size: Size,  # of the masks; the clip is scaled evenly and centred in it
    ) -> np.ndarray:  # (f, H, W) uint8
        """Return the masks of all frames."""
        return np.stack([self.of_frame(clip, frame, size) for frame in range(len(clip))])

    def of_frame(
        self,
        clip: PoseClip,
        frame: int,
        size: Size,
    ) -> np.ndarray:  # (H, W) uint8: 255 in the hulls and the margin, 0 outside the soft edge
        """Return the mask of one frame; it is empty if nobody is seen."""
        region = np.zeros((size.height, size.width), np.uint8)
        for person in range(clip.body.xy.shape[1]):
            for points in _hulls(clip, frame, person, placement(clip.canvas, size)):
                _fill(region, points)
        return self.grown(region)

    def of_drawing(
        self,
        picture: np.ndarray,  # (H, W, 3) uint8, skeletons on black
    ) -> np.ndarray:  # (H, W) uint8
        """Return the mask of drawn skeletons: what is drawn, with the same margin and edge."""
        return self.grown((picture.max(-1) >= _DRAWN).astype(np.uint8))

    def grown(
        self,
        region: np.ndarray,  # (H, W) uint8, not 0 inside
    ) -> np.ndarray:  # (H, W) uint8
        """Return a region with margin and soft edge."""
        if not region.any():
            return np.zeros(region.shape, np.uint8)
        short = min(region.shape)
        away = cv2.distanceTransform((region == 0).astype(np.uint8), cv2.DIST_L2, 5)
        soft = max(self.feather * short, 1e-6)
        share = np.clip(1 - (away - self.margin * short) / soft, 0, 1)
        return np.rint(255 * share).astype(np.uint8)


def _hulls(
    clip: PoseClip, frame: int, person: int, place: tuple[float, float, float]
) -> list[np.ndarray]:  # (n, 2) each
    """Return the points of each limb of a person, in pixels."""

    def seen(points: Points, joints: Sequence[int] | None = None) -> np.ndarray:
        xy, confidence = points.xy[frame, person], points.confidence[frame, person]
        if joints is not None:
            xy, confidence = xy[joints], confidence[joints]
        scale, left, top = place
        there = (confidence >= VISIBLE) & np.isfinite(xy).all(-1)
        return xy[there] * scale + (left, top)

    limbs = [
        seen(clip.body, TRUNK),
        np.concatenate([seen(clip.body, HEAD), seen(clip.face)]),
    ]
    for part, joints in ARMS.items():
        limbs.append(np.concatenate([seen(clip.body, joints), seen(getattr(clip, part))]))
    for joints, toes in LEGS:
        limbs.append(np.concatenate([seen(clip.body, joints), seen(clip.feet, toes)]))
    return [points for points in limbs if len(points)]


def _fill(region: np.ndarray, points: np.ndarray) -> None:
    """Fill the convex hull of points; two are a line, one is a pixel."""
    whole = np.rint(points.clip(-_FARTHEST_PX, _FARTHEST_PX)).astype(np.int32)
    hull = cv2.convexHull(whole[:, None])
    cv2.fillConvexPoly(region, hull, 255)
    cv2.polylines(region, [hull], True, 255)
