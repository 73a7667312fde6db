"""Skeletons of generated frames, read by a detector and an estimator as those of a video are."""

from collections.abc import Callable

import numpy as np
from torch import Tensor

from ..media import to_bytes
from ..pose.people.extract import ExtractConfig, extract
from ..types import PoseClip
from ..weights.pose_models import PosePair


class PoseReader:
    """Reads the surest person of every frame, frame by frame.

    Nothing is filled or smoothed over time: what a frame does not show is to count as missed.
    """

    def __init__(self, pair: PosePair) -> None:
        """Read with networks that are open."""
        self._pair, self.name = pair, pair.name  # the name is for reports

    def read(
        self,
        frames: np.ndarray,  # (f, H, W, 3) uint8 RGB
        progress: Callable[[int], None] | None = None,  # gets the frames done; may raise to stop
    ) -> PoseClip:
        """Return the skeletons on a canvas of the frames' size, of one person or of none."""
        config = ExtractConfig(people=1)
        clip, _ = extract(frames, *self._pair, config, progress)
        return clip

    def read_pixels(
        self,
        frames: Tensor,  # (f, 3, H, W), 0..1
        progress: Callable[[int], None] | None = None,  # as of `read`
    ) -> PoseClip:
        """Return the skeletons of frames as the core holds them."""
        return self.read(to_bytes(frames), progress)
