"""Backgrounds without anybody in them, and characters that are set on another background."""

from dataclasses import dataclass

import numpy as np

from .. import opencv as cv2
from ..errors import InputError
from ..pose.drawing.draw import draw_frame
from ..pose.drawing.hull import PoseMask
from ..types import PoseClip, Size

_NEAR, _FAR = 0.04, 0.15  # around the limbs, shares of the shorter side: likely and last pixels
_BESIDE = 0.03  # around a figure that is painted over, for what its outline misses
_LONGEST_PX = 512  # of a side of the picture in which a figure is cut out
_ITERATIONS = 5
_EDGE_PX = 0.6  # standard deviation of the soft edge of a figure
_DRAWN = 40  # of 0..255: brighter pixels of a drawn skeleton lie on a bone


@dataclass(frozen=True)
class Plate:
    """A background in which a person was painted over from around."""

    picture: np.ndarray  # (H, W, 3) uint8 RGB
    share: float  # of the picture that was filled, 0..1

    def text(self) -> str:
        """Return in words what was done."""
        if not self.share:
            return "nothing was filled, since the mask of the person is empty"
        return (
            f"{self.share:.1%} of the picture, where the person is, was filled from around; it "
            "shows no true background"
        )


def clean_plate(
    picture: np.ndarray,  # (H, W, 3) uint8 RGB
    figure: np.ndarray,  # (H, W) uint8, above 0 where somebody is
) -> Plate:
    """Return a picture that is unchanged outside of a mask, and inside filled from around it."""
    inside = figure > 0
    if inside.all():
        raise InputError(
            "mask of the person got the whole picture, so nothing is left from which a background "
            "could be filled. Lower the margin, or give a picture of the background itself."
        )
    if not inside.any():
        return Plate(picture, 0.0)
    filled = np.rint(_from_around(picture.astype(np.float32), ~inside)).astype(np.uint8)
    return Plate(np.where(inside[..., None], filled, picture), float(inside.mean()))


def _from_around(
    picture: np.ndarray,  # (H, W, 3) float32
    known: np.ndarray,  # (H, W) bool; some pixel is
) -> np.ndarray:  # (H, W, 3) float32
    """Return a picture whose unknown pixels are means of known ones, the nearer the finer.

    Means never leave the range of what they are of; OpenCV's inpainting does, which shows as glow.
    """
    if known.all():
        return picture
    H, W = known.shape
    half = (max(1, (W + 1) // 2), max(1, (H + 1) // 2))
    weights = known.astype(np.float32)
    sums = cv2.resize(picture * weights[..., None], half, interpolation=cv2.INTER_AREA)
    shares = cv2.resize(weights, half, interpolation=cv2.INTER_AREA)
    means = sums / np.maximum(shares, 1e-6)[..., None]
    coarse = _from_around(means, shares > 1e-6)
    smooth = cv2.resize(coarse, (W, H), interpolation=cv2.INTER_LINEAR)
    return np.where(known[..., None], picture, smooth)


def figure_in(
    picture: np.ndarray,  # (H, W, 3) uint8 RGB
    pose: PoseClip,  # its first frame is that of the picture; scaled evenly and centred in it
    name: str = "reference",  # of the picture, for messages
) -> np.ndarray:  # (H, W) uint8, 255 where a figure is, with a soft edge
    """Return the outline of the people in a picture, found by colours around their limbs."""
    H, W = picture.shape[:2]
    scale = min(1.0, _LONGEST_PX / max(H, W))
    size = Size(max(1, round(W * scale)), max(1, round(H * scale)))
    small = cv2.resize(picture, (size.width, size.height), interpolation=cv2.INTER_AREA)
    labels = np.full(small.shape[:2], cv2.GC_BGD, np.uint8)
    for margin, label in ((_FAR, cv2.GC_PR_BGD), (_NEAR, cv2.GC_PR_FGD)):
        labels[PoseMask(margin=margin, feather=0.0).of_frame(pose, 0, size) > 0] = label
    # Between the limbs of a bent arm is background, so only the bones are sure.
    labels[draw_frame(pose, 0, size).max(-1) >= _DRAWN] = cv2.GC_FGD
    if not (labels == cv2.GC_FGD).any():
        labels[PoseMask(margin=0.0, feather=0.0).of_frame(pose, 0, size) > 0] = cv2.GC_FGD
    if not (labels == cv2.GC_FGD).any():
        raise InputError(
            f"{name} got a picture in which nobody was found, so no figure can be cut out. Give "
            "keypoints of the person in it, or the networks that find people."
        )
    if not (labels == cv2.GC_BGD).any():
        labels[labels == cv2.GC_PR_BGD] = cv2.GC_BGD  # it learns colours from both sides
    if (labels == cv2.GC_BGD).any():
        cv2.setRNGSeed(0)  # its clusters of colours; the same picture gives the same outline
        models = np.zeros((1, 65)), np.zeros((1, 65))
        way = cv2.GC_INIT_WITH_MASK
        cv2.grabCut(small[..., ::-1].copy(), labels, None, *models, _ITERATIONS, way)
    figure = np.where((labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD), 255, 0).astype(np.uint8)
    figure = cv2.resize(figure, (W, H), interpolation=cv2.INTER_LINEAR)
    return cv2.GaussianBlur(figure, (0, 0), _EDGE_PX)


def person_in(
    picture: np.ndarray,  # (H, W, 3) uint8 RGB
    pose: PoseClip,  # as for `figure_in`
    name: str = "reference",
) -> np.ndarray:  # (H, W) uint8: 255 where people are, and a little around them
    """Return the mask of the people in a picture, for `clean_plate`."""
    H, W = picture.shape[:2]
    limbs = PoseMask(margin=_NEAR, feather=0.0).of_frame(pose, 0, Size(W, H))
    figure = np.where(figure_in(picture, pose, name) > 0, 255, 0)
    return PoseMask(margin=_BESIDE, feather=0.0).grown(np.maximum(limbs, figure).astype(np.uint8))


def set_on(
    picture: np.ndarray,  # (H, W, 3) uint8 RGB
    figure: np.ndarray,  # (H, W) uint8, 255 where the picture is seen
    plate: np.ndarray,  # (H, W, 3) uint8 RGB
) -> np.ndarray:  # (H, W, 3) uint8 RGB
    """Return a background with the figure of a picture on it."""
    share = figure[..., None].astype(np.float32) / 255
    return np.rint(share * picture + (1 - share) * plate).astype(np.uint8)
