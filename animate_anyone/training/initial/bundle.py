"""Start all networks from a complete weight set."""

import logging
from collections.abc import Iterable
from pathlib import Path

from torch import nn

from ...errors import WeightsError
from ...networks.unet import UNet
from ...protocols import Look
from ...weights.detect import reference_surplus
from ...weights.report import check_keys, module_shapes
from ...weights.sources import WeightPaths, open_parts
from .fill import fill, fill_pair, is_temporal
from .temporal import motion_weights

logger = logging.getLogger(__name__)

_POSITION_IDS = "vision_model.embeddings.position_ids"  # a count from zero, in old files


def from_bundle(
    denoiser: UNet,
    reference_net: nn.Module,
    pose_guider: nn.Module,
    source: str | Path | WeightPaths | Iterable[str | Path],  # whatever `load_models` opens
    *,
    image_encoder: nn.Module | None = None,  # ClipVision, where it is trained
    look: Look | None = None,  # called before each tensor is read; may raise to interrupt
) -> None:
    """Start from a whole weight set, to train it further.

    Temporal layers are loaded if both file and denoiser have them. If only the denoiser has them,
    they stay unchanged and a warning is logged.
    """
    parts = open_parts(source)
    if look is not None:
        parts = parts.watched(lambda done, total: look())
    check_keys(pose_guider, parts.pose_guider, "a Pose Guider")
    encoder = parts.image_encoder
    if image_encoder is not None:
        if encoder is None:
            raise WeightsError(
                f"image_encoder got none: {parts.denoiser.source} comes without one. Add its file, "
                "or train with a frozen image encoder."
            )
        check_keys(image_encoder, encoder, "a CLIP vision model", ignored=(_POSITION_IDS,))
    temporal = {key for key in parts.denoiser if is_temporal(key)}
    motion = None
    if denoiser.config.motion is not None and temporal:
        motion = motion_weights(denoiser, parts.denoiser)
    elif denoiser.config.motion is not None:
        logger.warning(
            "%s has no temporal layers; those of the denoiser stay unchanged",
            parts.denoiser.source,
        )
    reference = parts.reference_net.without(reference_surplus(denoiser.config))
    fill_pair(denoiser, parts.denoiser.without(temporal), reference_net, reference)
    fill(pose_guider, parts.pose_guider, module_shapes(pose_guider))
    if motion is not None:
        fill(denoiser, *motion)
    if image_encoder is not None and encoder is not None:
        fill(image_encoder, encoder, module_shapes(image_encoder))
    logger.info("Started from %s", parts.denoiser.source)
