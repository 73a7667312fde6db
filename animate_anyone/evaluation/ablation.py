"""The paper's networks without one of their parts."""

from dataclasses import replace

import torch

from ..networks.unet import UNet
from ..weights.load import Models


def without_motion(models: Models) -> Models:
    """Return the same weights without temporal layers: every frame is independent."""
    config = replace(models.preset.unet, motion=None)
    with torch.device("meta"):
        denoiser = UNet(config, attention=models.denoiser.attention)
    state = {k: v for k, v in models.denoiser.state_dict().items() if "motion_modules" not in k}
    denoiser.load_state_dict(state, assign=True)
    return replace(models, denoiser=denoiser)
