"""The conditions of a clip: the encoded references, and the pose features of its frames."""

import logging
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from ..media import fit_picture, to_pixels
from ..networks.condition import as_clips, join_persons, join_references, prepare_condition
from ..networks.unet import PreparedCondition
from ..types import Size
from .settings import Networks

logger = logging.getLogger(__name__)

ReferencePictures = Tensor | Sequence[Tensor]
"""Pictures of a character: (p, 3, H, W) in 0..1, or a list of (1, 3, H, W) of any sizes."""

SMALLEST_SIDE = 8  # pixels; a smaller picture is less than one place of the latents
KEPT_POSE_BYTES = 128 << 20  # pose features of longer clips are computed when a window needs them


class ReferenceCondition:
    """The reference pictures, encoded once for the whole clip."""

    @torch.no_grad()
    def __init__(
        self,
        models: Networks,
        reference: ReferencePictures,
        size: Size,
        *,
        guided: bool,
        strengths: Sequence[float] | None = None,  # one per picture; None: all 1
        persons: bool = False,  # each picture shows another person of the clip
    ) -> None:
        assert models.image_encoder is not None
        assert models.autoencoder is not None
        like = next(models.denoiser.parameters())
        pictures = pictures_of(reference)
        strengths = [1.0] * len(pictures) if strengths is None else strengths
        seen = [(one, s) for one, s in zip(pictures, strengths, strict=True) if s]
        features, tokens = [], []
        for picture, _ in seen:  # one after another, so that memory does not grow with them
            token = models.image_encoder.encode(picture).to(like)
            latents = models.autoencoder.encode(_fit_reference(picture, size)).to(like)
            features.append(models.reference_net.reference_features(latents, token))
            tokens.append(token)
        if len(seen) > 1:
            logger.info("reference: %d pictures; attention looks at all of them", len(seen))
        self._token = tokens[0]
        if persons:
            each = [join_references([f], [s]) for f, (_, s) in zip(features, seen, strict=True)]
            self._features = join_persons(each, tokens)
        else:
            self._features = join_references(features, [strength for _, strength in seen])
        self._denoiser = models.denoiser
        self._prepared: dict[tuple[int, bool], PreparedCondition] = {}
        self.guided = guided

    def for_windows(
        self,
        count: int,
        *,
        guided: bool = True,  # False: a step without guidance of a guided run
        strength: float = 1.0,  # of all pictures together; 0: only their token is seen
    ) -> PreparedCondition:
        """Return the condition for a call with `count` windows.

        With guidance its first rows are the unconditional ones of all windows, then the
        conditional ones. It depends on the present weights, so each sampling run makes its own.
        """
        key = count, guided and self.guided
        if key not in self._prepared:
            rows = (False, True) if key[1] else (True,)
            attends = [attends for attends in rows for _ in range(count)]
            self._prepared[key] = prepare_condition(
                self._denoiser, self._token, self._features, attends
            )
        return self._prepared[key].at_strength(strength)


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


def tell_small(picture: Tensor, name: str) -> None:
    """Log a warning if pictures, (p, 3, H, W), are too small to show a character."""
    H, W = picture.shape[-2:]
    if min(H, W) < SMALLEST_SIDE:
        logger.warning(
            "%s is %dx%d pixels, which shows nothing of a character; load the whole picture",
            *(name, W, H),
        )


def pictures_of(reference: ReferencePictures) -> list[Tensor]:  # (1, 3, H, W) each
    """Return the reference pictures one by one."""
    return [*reference.split(1)] if isinstance(reference, Tensor) else [*reference]


def _fit_reference(reference: Tensor, size: Size) -> Tensor:
    """Return the picture at the clip's size; log a warning if its shape differs."""
    H, W = reference.shape[-2:]
    if not 0.98 < (W * size.height) / (H * size.width) < 1.02:
        logger.warning(
            "reference is %dx%d, the clip %dx%d: the picture's edges are continued to fill it",
            *(W, H, size.width, size.height),
        )
    return fit_picture(reference, size)
