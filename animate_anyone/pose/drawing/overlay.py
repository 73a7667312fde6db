"""Skeletons of several clips drawn over a picture in different styles, to compare them by eye."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ... import opencv as cv2
from ...errors import InputError
from ...fitting import placement
from ...types import Points, PoseClip, Size
from ..skeleton.joints import BODY_EDGES, HAND_EDGES, VISIBLE, Colour
from .draw import SHORT_SIDE_PX, draw_frame

_SHIFT = 4  # fractional bits of line coordinates
_FARTHEST_PX = 2_000  # beyond the picture's longer side; coordinates are clipped there


@dataclass(frozen=True)
class Style:
    """How the skeletons of one clip look."""

    colour: Colour | None = None  # of thin lines; None: drawn like the Pose Guider's input
    width_px: float = 2.0  # of thin lines, at a short side of 512


DRIVER = Style((150, 150, 150))
RETARGETED = Style()
REFERENCE = Style((255, 255, 255), 3.0)
_STYLES = {
    1: (RETARGETED,),
    2: (DRIVER, RETARGETED),
    3: (DRIVER, RETARGETED, REFERENCE),
}


def overlay(
    background: np.ndarray,  # (H, W, 3), or (f, H, W, 3) with one picture per frame; uint8 RGB
    clips: Sequence[PoseClip],
    styles: Sequence[Style] | None = None,  # None: by the number of clips, see below
    *,
    dim: float = 0.4,  # brightness that the background keeps, 0..1
    frames: Sequence[int] | None = None,  # which to draw; None: all of the longest clip
) -> Iterator[np.ndarray]:  # (H, W, 3) uint8 RGB
    """Yield frames with the skeletons of all clips, each clip scaled to the background and centred.

    By default, one clip is drawn like the Pose Guider's input, two are driver and retargeted clip,
    three are driver, retargeted clip and reference. Thin skeletons are drawn above coloured ones.
    A clip or background that is shorter than the others repeats its last frame; a clip without
    frames is left out.

    Raises InputError for a background that is not a uint8 picture, or if a clip has no style.
    """
    _check_background(background)
    styles = _STYLES.get(len(clips), ()) if styles is None else styles
    if len(styles) != len(clips):
        raise InputError(
            f"styles got {len(styles)} for {len(clips)} clips; every clip needs one. Name them, "
            "or draw up to three clips."
        )
    pairs = [pair for pair in zip(clips, styles, strict=True) if len(pair[0])]
    pairs.sort(key=lambda pair: pair[1].colour is not None)
    chosen = (
        frames if frames is not None else range(max((len(clip) for clip, _ in pairs), default=0))
    )
    pictures = background if background.ndim == 4 else background[None]
    return (_frame(pictures[min(at, len(pictures) - 1)], pairs, at, dim) for at in chosen)


def _check_background(background: np.ndarray) -> None:
    shape = background.shape
    if background.dtype != np.uint8 or background.ndim not in (3, 4) or shape[-1] != 3:
        raise InputError(
            f"background got {background.dtype} of shape {shape}; it must be bytes of shape "
            "(H, W, 3) or (f, H, W, 3). Convert the picture to RGB bytes."
        )
    if 0 in shape:
        raise InputError(f"background got shape {shape}; no side may be 0. Give it a picture.")


def _frame(
    background: np.ndarray,  # (H, W, 3)
    pairs: Sequence[tuple[PoseClip, Style]],
    frame: int,
    dim: float,
) -> np.ndarray:  # (H, W, 3)
    picture = (background * np.float32(dim)).astype(np.uint8)
    size = Size(background.shape[1], background.shape[0])
    for clip, style in pairs:
        at = min(frame, len(clip) - 1)
        if style.colour is None:
            drawn = draw_frame(clip, at, size)
            covered = drawn.any(-1)
            picture[covered] = drawn[covered]
        else:
            _draw_thin(picture, clip, at, style.colour, style.width_px)
    return picture


def _draw_thin(
    picture: np.ndarray, clip: PoseClip, frame: int, colour: Colour, width_px: float
) -> None:
    size = Size(picture.shape[1], picture.shape[0])
    place = placement(clip.canvas, size)
    width = max(1, round(width_px * min(size.width, size.height) / SHORT_SIDE_PX))
    parts = (
        (clip.body, BODY_EDGES),
        (clip.left_hand, HAND_EDGES),
        (clip.right_hand, HAND_EDGES),
    )
    for points, edges in parts:
        for person in range(points.xy.shape[1]):
            _draw_lines(picture, points, (frame, person), edges, place, colour, width)


def _draw_lines(
    picture: np.ndarray,
    points: Points,
    at: tuple[int, int],  # frame, person
    edges: Sequence[tuple[int, int]],
    place: tuple[float, float, float],  # scale, left, top
    colour: Colour,
    width: int,
) -> None:
    scale, left, top = place
    far = max(picture.shape) + _FARTHEST_PX
    seen = points.confidence[at] >= VISIBLE
    xy = np.nan_to_num(points.xy[at] * scale + (left, top)).clip(-far, far)
    ends = np.rint(xy * 2**_SHIFT).astype(int).tolist()
    for a, b in edges:
        if seen[a] and seen[b]:
            cv2.line(picture, ends[a], ends[b], colour, width, cv2.LINE_AA, _SHIFT)
