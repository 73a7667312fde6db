"""Read skeletons from generated frames with a detector and an estimator, as from a video."""

import logging
from collections.abc import Callable

import numpy as np
from torch import Tensor

from ..media import to_bytes
from ..pose.people.doubt import knows_only_drawn, weigh
from ..pose.people.extract import ExtractConfig, extract
from ..types import PoseClip
from ..weights.pose_models import PosePair

_log = logging.getLogger(__name__)


class PoseReader:
    """Reads the person with the best score in every frame, frame by frame.

    Nothing is filled or smoothed over time, so that joints missing in a frame count as missed.
    """

    def __init__(self, pair: PosePair) -> None:
        """Read with open networks."""
        self._pair, self.name = pair, pair.name  # the name is for reports

    def read(
        self,
        frames: np.ndarray,  # (f, H, W, 3) uint8 RGB
        progress: Callable[[int], None] | None = None,  # gets the frames done; may raise to stop
    ) -> PoseClip:
        """Return the skeletons of at most one person, on a canvas of the frames' size."""
        config = ExtractConfig(people=1)
        clip, _ = extract(frames, *self._pair, config, progress)
        if evidence := weigh(clip):
            for doubt in evidence.doubts(drawn=knows_only_drawn(*self._pair)):
                _log.warning("%s: %s", self.name, doubt)
        return clip

    def read_pixels(
        self,
        frames: Tensor,  # (f, 3, H, W), 0..1
        progress: Callable[[int], None] | None = None,  # as in `read`
    ) -> PoseClip:
        """Return the skeletons of frames in the core's tensor format."""
        return self.read(to_bytes(frames), progress)
