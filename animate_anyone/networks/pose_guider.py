"""The Pose Guider: turns pictures of skeletons into features that are added in the denoiser.

Paper, section 3.2: "four convolution layers (4x4 kernels, 2x2 strides, using 16,32,64,128
channels)", then a projection that starts from zero. Four strides of 2 give 1/16 of the picture's
size, but latents have 1/8, and the paper does not explain the difference. Skeletons can be drawn at
any resolution, so our form that follows the paper enlarges the picture to twice the frame's size.
The public weights use another form: 3x3 convolutions, three of them with stride 2.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..config import PoseGuiderConfig
from .layers import TORCH, Factory, Operations


class PoseGuider(nn.Module):
    """The public form; its features are added to the output of the denoiser's conv_in."""

    form = "conv3"

    def __init__(self, config: PoseGuiderConfig, make: Factory) -> None:
        super().__init__()
        channels = config.channels
        self.conv_in = make.conv(3, channels[0])
        self.blocks = nn.ModuleList()
        for narrow, wide in pairwise(channels):
            self.blocks.append(make.conv(narrow, narrow))
            self.blocks.append(make.conv(narrow, wide, stride=2))
        self.conv_out = make.conv(channels[-1], config.out_channels)

    def forward(
        self,
        pictures: Tensor,  # (f, 3, H, W), 0..1
    ) -> Tensor:  # (f, out_channels, H/8, W/8), sides rounded up
        x = pictures.contiguous(memory_format=torch.channels_last)
        x = functional.silu(self.conv_in(x))
        for block in self.blocks:
            x = functional.silu(block(x))
        return self.conv_out(x)


class PaperPoseGuider(nn.Module):
    """The paper's form; its features are added to the noise latent, before conv_in."""

    form = "paper"

    def __init__(self, config: PoseGuiderConfig, make: Factory) -> None:
        super().__init__()
        widths = (3, *config.channels)
        self.blocks = nn.ModuleList(
            [make.conv(narrow, wide, kernel=4, stride=2) for narrow, wide in pairwise(widths)]
        )
        self.conv_out = make.conv(widths[-1], config.out_channels, kernel=1)

    def forward(
        self,
        pictures: Tensor,  # (f, 3, H, W), 0..1
    ) -> Tensor:  # (f, out_channels, H/8, W/8), sides rounded up
        doubled = [16 * -(-side // 8) for side in pictures.shape[2:]]
        x = functional.interpolate(pictures, size=doubled, mode="bilinear")
        x = x.contiguous(memory_format=torch.channels_last)
        for block in self.blocks:
            x = functional.silu(block(x))
        return self.conv_out(x)


def build_pose_guider(
    config: PoseGuiderConfig,
    *,
    operations: Operations = TORCH,
    dtype: torch.dtype | None = None,
    device: torch.device | str | None = None,
) -> nn.Module:
    """Return the Pose Guider of a configuration; its attribute `form` is the form's name.

    The denoiser recognises the form by the number of its features' channels.
    """
    make = Factory(operations, dtype, device)
    return {"conv3": PoseGuider, "paper": PaperPoseGuider}[config.form](config, make)
