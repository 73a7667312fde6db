"""Copy tensors of a file into existing networks, in place."""

from collections.abc import Collection

import torch
from torch import nn

from ...networks.control.controlnet import ControlledUNet
from ...networks.unet import UNet
from ...weights.assign import load_tensor
from ...weights.read import Weights
from ...weights.report import check_keys, module_shapes


@torch.no_grad()
def fill(module: nn.Module, weights: Weights, keys: Collection[str]) -> None:
    """Copy these tensors, cast to the module's dtypes; its parameters stay the same objects."""
    own = module.state_dict()
    for key in keys:
        own[key].copy_(load_tensor(weights, key, own[key].dtype, own[key].device))


def fill_pair(
    denoiser: UNet, weights: Weights, reference_net: nn.Module, reference_weights: Weights
) -> None:
    """Check the weights of both networks, then copy the spatial layers and ReferenceNet."""
    spatial = {
        key: shape
        for key, shape in module_shapes(denoiser).items()
        if not is_temporal(key) and not key.startswith("controlnet.")
    }
    check_keys(spatial, weights, "a denoising UNet")
    if isinstance(reference_net, UNet):
        check_keys(reference_net, reference_weights, "a ReferenceNet")
        fill(reference_net, reference_weights, module_shapes(reference_net))
    fill(denoiser, weights, spatial)
    if isinstance(denoiser, ControlledUNet):
        denoiser.copy_encoder()


def fill_zero(part: nn.Module) -> None:
    """Make every weight of a layer zero."""
    for parameter in part.parameters():
        nn.init.zeros_(parameter)


def is_temporal(key: str) -> bool:
    """Return whether a tensor belongs to a temporal layer."""
    return ".motion_modules." in key
