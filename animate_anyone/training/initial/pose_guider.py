"""Start the Pose Guider from Gaussian weights, or from the hint encoder of a ControlNet."""

import logging
from pathlib import Path

import torch
from torch import nn

from ...errors import ConfigError, WeightsError
from ...weights.detect import describe, identify
from ...weights.read import Weights, read_weights
from ...weights.report import check_keys, module_shapes
from .fill import fill, fill_zero

logger = logging.getLogger(__name__)

_OUTPUT = ("conv_out.weight", "conv_out.bias")
# The original ControlNets count activations too; diffusers names the convolutions.
_HINT_LAYERS = {"0": "conv_in", "14": "conv_out"} | {
    str(2 * block + 2): f"blocks.{block}" for block in range(6)
}
_HINT_NAMES = ("controlnet_cond_embedding.", "input_hint_block.")


@torch.no_grad()
def gaussian_pose_guider(pose_guider: nn.Module, generator: torch.Generator | None = None) -> None:
    """Give the Pose Guider Gaussian weights and a last layer of zeros (paper, section 3.2).

    The paper gives no variance; 2 / fan-in keeps the size of the features from layer to layer (He
    et al., arXiv 1502.01852).
    """
    for part in pose_guider.modules():
        if isinstance(part, nn.Conv2d):
            nn.init.kaiming_normal_(part.weight, nonlinearity="relu", generator=generator)
            assert part.bias is not None
            nn.init.zeros_(part.bias)
    fill_zero(pose_guider.get_submodule("conv_out"))


def from_controlnet_hint(
    pose_guider: nn.Module,  # of the form conv3 with channels 16, 32, 96, 256
    path: str | Path,  # a ControlNet, with the names of diffusers or the original ones
) -> None:
    """Give the Pose Guider the hint encoder of a ControlNet; its last layer starts from zero.

    The ControlNet's own last layer was trained for the features of another encoder than the
    denoiser's. With zeros the denoiser starts undisturbed, as in the paper.
    """
    if getattr(pose_guider, "form", None) != "conv3":
        raise ConfigError(
            "pose_guider got the paper's form; a ControlNet's hint encoder fits the form conv3. "
            "Choose a preset of that form, or start from Gaussian weights."
        )
    weights = _hint_encoder(read_weights(path))
    keys = {key: shape for key, shape in module_shapes(pose_guider).items() if key not in _OUTPUT}
    check_keys(keys, weights, "the hint encoder of a ControlNet", ignored=_OUTPUT)
    fill(pose_guider, weights, keys)
    fill_zero(pose_guider.get_submodule("conv_out"))
    logger.info("Started the Pose Guider from %s", weights.source)


def _hint_encoder(weights: Weights) -> Weights:
    """Return a ControlNet's hint encoder under the Pose Guider's names."""
    names = {}
    for key in weights:
        for name in _HINT_NAMES:
            _, found, layer = key.partition(name)
            if found:
                number, _, rest = layer.partition(".")
                names[key] = f"{_HINT_LAYERS.get(number, number)}.{rest}"
    if not names:
        raise WeightsError(
            f"path got {weights.source}, which is {describe(identify(weights.shapes))}; choose the "
            "OpenPose ControlNet of Stable Diffusion 1.5."
        )
    return weights.renamed(names)
