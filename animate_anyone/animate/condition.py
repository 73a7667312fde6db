"""The conditions of a clip: the encoded reference, and the pose features of its frames."""

import logging
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from ..media import fit_picture, to_pixels
from ..networks.condition import as_clips, prepare_condition, seen_features
from ..networks.unet import PreparedCondition
from ..types import Size
from .settings import Networks

logger = logging.getLogger(__name__)

KEPT_POSE_BYTES = 128 << 20  # pose features of longer clips are computed when a window needs them


class ReferenceCondition:
    """The reference picture, encoded once for the whole clip."""

    @torch.no_grad()
    def __init__(self, models: Networks, reference: Tensor, size: Size, *, guided: bool) -> None:
        assert models.image_encoder is not None
        assert models.autoencoder is not None
        like = next(models.denoiser.parameters())
        self._token = models.image_encoder.encode(reference).to(like)
        picture = _fit_reference(reference, size)
        latents = models.autoencoder.encode(picture).to(like)
        self._features = seen_features(models.reference_net, latents, self._token, (True,))
        self._denoiser = models.denoiser
        self._attends = (False, True) if guided else (True,)
        self._prepared: dict[int, PreparedCondition] = {}
        self.rows = len(self._attends)

    def for_windows(self, count: int) -> PreparedCondition:
        """Return the condition for a call with `count` windows.

        With guidance its first rows are the unconditional ones of all windows, then the
        conditional ones. It depends on the present weights, so each sampling run makes its own.
        """
        if count not in self._prepared:
            attends = [attends for attends in self._attends for _ in range(count)]
            self._prepared[count] = prepare_condition(
                self._denoiser, self._token, self._features, attends
            )
        return self._prepared[count]


class PoseFeatures:
    """The Pose Guider's features of frames: stored for a short clip, else computed on demand."""

    def __init__(
        self,
        guider: nn.Module,
        poses: np.ndarray,  # (f, H, W, 3) uint8
        kept_bytes: int = KEPT_POSE_BYTES,
    ) -> None:
        self._guider, self._poses = guider, poses
        self._kept: Tensor | None = None
        chunks = torch.arange(len(poses)).split(8)
        first = self._make(chunks[0].tolist())
        if first[0].nbytes * len(poses) <= kept_bytes:
            others = (self._make(chunk.tolist()) for chunk in chunks[1:])
            self._kept = torch.cat([first, *others])

    def of(
        self,
        frames: Sequence[int],
    ) -> Tensor:  # (1, c, len(frames), h, w)
        """Return the features of these frames."""
        features = self._make(frames) if self._kept is None else self._kept[list(frames)]
        return as_clips(features)

    @torch.no_grad()
    def _make(self, frames: Sequence[int]) -> Tensor:
        like = next(self._guider.parameters())
        return self._guider(to_pixels(self._poses[list(frames)]).to(like))


def _fit_reference(reference: Tensor, size: Size) -> Tensor:
    """Return the picture at the clip's size; log a warning if its shape differs."""
    H, W = reference.shape[-2:]
    if not 0.98 < (W * size.height) / (H * size.width) < 1.02:
        logger.warning(
            "reference is %dx%d, the clip %dx%d: the picture's edges are continued to fill it",
            *(W, H, size.width, size.height),
        )
    return fit_picture(reference, size)
