"""Start both UNets from Stable Diffusion."""

import logging
from pathlib import Path

from torch import nn

from ...config import UNetConfig
from ...errors import WeightsError
from ...networks.unet import UNet
from ...weights.detect import describe, identify, reference_surplus
from ...weights.read import Weights, read_weights
from .fill import fill_pair
from .original_names import diffusers_name

logger = logging.getLogger(__name__)

_UNET_FILES = tuple(
    f"{folder}diffusion_pytorch_model.{ending}"
    for folder in ("unet/", "")
    for ending in ("safetensors", "fp16.safetensors", "bin")
)
_LDM_PREFIX = "model.diffusion_model."


def from_stable_diffusion(
    denoiser: UNet,
    reference_net: nn.Module,  # stays unchanged if it is not a UNet, as in the ablations
    path: str | Path,  # diffusers folder, UNet file of one, or checkpoint in one file
) -> None:
    """Load Stable Diffusion's UNet into both networks; the denoiser's temporal layers stay.

    A ControlNet in the denoiser gets a copy of the denoiser's encoder. Raises WeightsError with
    the key report unless the file fits.
    """
    weights = _stable_diffusion(Path(path), denoiser.config)
    surplus = reference_surplus(denoiser.config)
    fill_pair(denoiser, weights, reference_net, weights.without(surplus))
    logger.info("Started denoiser and ReferenceNet from %s", weights.source)


def with_diffusers_names(
    weights: Weights,  # a Stable Diffusion checkpoint, or its UNet alone, in the original names
    layers_per_block: int,
) -> Weights:
    """Return the UNet of an original checkpoint with the tensor names of diffusers.

    If a checkpoint has averaged weights besides the last ones, the last ones are used, as is usual
    for further training.
    """
    unet = weights.part(_LDM_PREFIX) or weights
    names = {key: diffusers_name(key, layers_per_block) for key in unet}
    unknown = sorted(key for key, name in names.items() if name is None)
    if unknown:
        raise WeightsError(
            f"{weights.source} is not a Stable Diffusion 1.5 checkpoint: its UNet has "
            f"{len(unknown)} tensors that version 1.5 does not have ({', '.join(unknown[:4])}). "
            "Choose Stable Diffusion 1.5 or a fine-tuned version of it."
        )
    convolutions = (key.removesuffix(".weight") for key, shape in unet.shapes.items() if shape[3:])
    lacking = [f"{layer}.bias" for layer in convolutions if f"{layer}.bias" not in unet]
    if lacking:
        raise WeightsError(
            f"{weights.source} lacks {lacking[0]!r}; the checkpoint is incomplete. Choose a "
            "complete one."
        )
    return unet.renamed({key: name for key, name in names.items() if name})


def _stable_diffusion(path: Path, config: UNetConfig) -> Weights:
    """Open the UNet of a folder or file, with the tensor names of diffusers."""
    if path.is_dir():
        files = [path / name for name in _UNET_FILES if (path / name).is_file()]
        if not files:
            raise WeightsError(
                f"path got {path}, which holds no Stable Diffusion UNet; looked for "
                f"{', '.join(_UNET_FILES)}. Choose a diffusers folder or a checkpoint file."
            )
        path = files[0]
    weights = read_weights(path)
    kind = identify(weights.shapes)
    if kind == "sd_checkpoint":
        return with_diffusers_names(weights, config.layers_per_block)
    if kind != "unet":
        raise WeightsError(
            f"path got {path}, which is {describe(kind)}; choose the UNet of Stable Diffusion 1.5, "
            "in diffusers layout or in a checkpoint."
        )
    return weights
