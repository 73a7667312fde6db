"""Resizing pictures: scaled evenly and centred, or squashed to a square for CLIP."""

from collections.abc import Iterable

import numpy as np
from PIL import Image
from torch import Tensor
from torch.nn import functional

from .. import opencv as cv2
from ..fitting import Fit, placement
from ..types import Size


def fit_picture(
    pictures: Tensor,  # (f, 3, H, W), 0..1
    size: Size,
    fit: Fit = "pad",
) -> Tensor:  # (f, 3, size.height, size.width), 0..1
    """Return pictures of this size: padded by repeating their edges, or cropped to fill it."""
    H, W = pictures.shape[-2:]
    if Size(W, H) == size:
        return pictures
    scale, _, _ = placement(Size(W, H), size, fit)
    inner = Size(max(1, round(W * scale)), max(1, round(H * scale)))
    if fit == "crop":
        inner = Size(max(size.width, inner.width), max(size.height, inner.height))
    # Apple's MPS has no filter with antialiasing.
    own = pictures.cpu() if pictures.device.type == "mps" else pictures
    scaled = functional.interpolate(
        own, (inner.height, inner.width), mode="bicubic", antialias=True
    )
    scaled = scaled.clamp(0, 1).to(pictures)
    if fit == "crop":
        left, top = (inner.width - size.width) // 2, (inner.height - size.height) // 2
        return scaled[..., top : top + size.height, left : left + size.width]
    left, top = (size.width - inner.width) // 2, (size.height - inner.height) // 2
    right, bottom = size.width - inner.width - left, size.height - inner.height - top
    return functional.pad(scaled, (left, right, top, bottom), mode="replicate")


def fit_frame(
    frame: np.ndarray,  # (H, W, 3) uint8
    size: Size,
    fit: Fit,
) -> np.ndarray:  # (size.height, size.width, 3) uint8
    """Return a frame fitted like `fit_picture`; `crop` is the paper's method (section 4.1)."""
    scale, left, top = placement(Size(frame.shape[1], frame.shape[0]), size, fit)
    width = max(1, round(frame.shape[1] * scale))
    height = max(1, round(frame.shape[0] * scale))
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    scaled = cv2.resize(frame, (width, height), interpolation=way)
    left, top = round(left), round(top)
    if fit == "crop":
        left, top = min(-left, width - size.width), min(-top, height - size.height)
        return np.ascontiguousarray(scaled[top : top + size.height, left : left + size.width])
    rows, columns = (
        np.arange(length) - start for length, start in ((size.height, top), (size.width, left))
    )
    return scaled[rows.clip(0, height - 1)[:, None], columns.clip(0, width - 1)]


def squash(
    frames: Iterable[np.ndarray],  # (H, W, 3) uint8 each, of any sizes
    side: int,  # pixels
) -> np.ndarray:  # (f, side, side, 3) uint8
    """Return pictures squashed to a square, as these networks prepare them for CLIP.

    This is PIL's bicubic filter, as in the public implementation. PyTorch's bicubic filter rounds
    its weights differently: one pixel in six differs, by up to 2 of 255.
    """
    way = Image.Resampling.BICUBIC
    squares = (Image.fromarray(frame).resize((side, side), way) for frame in frames)
    return np.stack([np.asarray(square) for square in squares])


def fit_drawing(
    frame: np.ndarray,  # (H, W, 3) uint8
    size: Size,
) -> np.ndarray:  # (size.height, size.width, 3) uint8
    """Return a picture of skeletons scaled evenly and centred in this size, padded with black."""
    H, W = frame.shape[:2]
    if Size(W, H) == size:
        return frame
    scale, _, _ = placement(Size(W, H), size)
    inner = (max(1, round(W * scale)), max(1, round(H * scale)))
    result = np.zeros((size.height, size.width, 3), np.uint8)
    left, top = (size.width - inner[0]) // 2, (size.height - inner[1]) // 2
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    result[top : top + inner[1], left : left + inner[0]] = cv2.resize(
        frame, inner, interpolation=way
    )
    return result
