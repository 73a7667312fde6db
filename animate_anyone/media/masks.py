"""Foreground masks: what makes a clip transparent. White stays, black becomes transparent."""

import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..types import Size
from .clips import clip_info, frames_of

logger = logging.getLogger(__name__)

_COLOURED = 32  # levels between the channels of a pixel that is surely not grey
_MOST_COLOURED = 0.01  # share of such pixels in a mask; edges that were compressed have some


def with_alpha(
    frames: np.ndarray,  # (f, H, W, 3) uint8 RGB
    alpha: np.ndarray,  # (f or 1, H, W) uint8
) -> np.ndarray:  # (f, H, W, 4) uint8 RGBA, colours not multiplied by alpha
    """Return frames with their alpha."""
    alpha = np.broadcast_to(alpha[..., None], (*frames.shape[:3], 1))
    return np.concatenate([frames, alpha], axis=-1)


class ForegroundMask:
    """The mask of a clip, from a video, a folder of pictures or one picture for all frames."""

    def __init__(
        self,
        path: Path,
        frames: int,  # of the clip
        size: Size,  # of the clip
    ) -> None:
        info = clip_info(path)
        for note in info.notes:
            logger.warning("foreground mask: %s: %s", path, note)
        self._path, self._one = path, info.frames == 1
        if info.size != size:
            raise InputError(
                f"foreground mask got {path} of {info.size.width}x{info.size.height}; the clip "
                f"has {size.width}x{size.height}. Scale the mask to this size."
            )
        if info.frames not in (1, frames):
            raise InputError(
                f"foreground mask got {path} with {info.frames} frames; the clip has {frames}. "
                "Give as many, or one picture for all frames."
            )
        self._frames = self._read()

    def on(
        self,
        frames: np.ndarray,  # (f, H, W, 3) uint8 RGB; the next ones of the clip
    ) -> np.ndarray:  # (f, H, W, 4) uint8 RGBA
        """Return the next frames of the clip with their alpha."""
        alpha = [each for _, each in zip(range(len(frames)), self._frames, strict=False)]
        if len(alpha) < len(frames):
            raise InputError(
                f"foreground mask got {self._path}; its frames end before those of the clip. It "
                "may be truncated: export it again."
            )
        return with_alpha(frames, np.stack(alpha))

    def _read(self) -> Iterator[np.ndarray]:  # (H, W) uint8
        for number, picture in enumerate(frames_of(self._path, background="black")):
            spread = np.ptp(picture, axis=-1) > _COLOURED
            if spread.mean() > _MOST_COLOURED:
                raise InputError(
                    f"foreground mask got {self._path}; its frame {number} has colours. A mask is "
                    "grey: white where the clip stays, black where it becomes transparent."
                )
            grey = picture.mean(axis=-1).round().astype(np.uint8)
            yield grey
            while self._one:
                yield grey
