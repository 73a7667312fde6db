"""Skeletons of generated frames, read by a detector and an estimator as those of a video are."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from torch import Tensor

from ..media import to_bytes
from ..pose.networks.detector import Detector
from ..pose.networks.estimator import Estimator
from ..pose.networks.sessions import open_session
from ..pose.people.extract import ExtractConfig, extract
from ..types import PoseClip
from ..weights.pose_models import embedded_pose_models


class PoseReader:
    """Reads the surest person of every frame, frame by frame.

    Nothing is filled or smoothed over time: what a frame does not show is to count as missed.
    """

    def __init__(self, detector: Detector, estimator: Estimator, name: str = "") -> None:
        """Read with networks that are open; the name is for reports."""
        self._detector, self._estimator, self.name = detector, estimator, name

    @classmethod
    def from_files(cls, detector: Path, estimator: Path, provider: str = "auto") -> "PoseReader":
        """Open two ONNX files; WeightsError if they are not a detector and an estimator."""
        return cls(
            Detector(open_session(detector, provider)),
            Estimator(open_session(estimator, provider)),
            f"{detector.name}, {estimator.name}",
        )

    @classmethod
    def embedded(cls, provider: str = "auto") -> "PoseReader":
        """Return the pair of aa-mini, which knows its drawn characters alone."""
        return cls.from_files(*embedded_pose_models(), provider)

    def read(
        self,
        frames: np.ndarray,  # (f, H, W, 3) uint8 RGB
        progress: Callable[[int], None] | None = None,  # gets the frames done; may raise to stop
    ) -> PoseClip:
        """Return the skeletons on a canvas of the frames' size, of one person or of none."""
        config = ExtractConfig(people=1)
        clip, _ = extract(frames, self._detector, self._estimator, config, progress)
        return clip

    def read_pixels(
        self,
        frames: Tensor,  # (f, 3, H, W), 0..1
        progress: Callable[[int], None] | None = None,  # as of `read`
    ) -> PoseClip:
        """Return the skeletons of frames as the core holds them."""
        return self.read(to_bytes(frames), progress)
