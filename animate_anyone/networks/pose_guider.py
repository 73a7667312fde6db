"""The Pose Guider: pictures of skeletons to features that are added to the denoiser.

Paper, section 3.2: "four convolution layers (4x4 kernels, 2x2 strides, using 16,32,64,128
channels)", then a projection that starts from zero. Four halvings make 1/16 of the picture, but
latents are 1/8 of it, and the paper does not say how the two meet. Skeletons are drawings, of any
resolution one likes: so our literal form looks at the picture at twice the frame's size. The
public weights use another form, 3x3 convolutions with three halvings.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..config import PoseGuiderConfig
from .layers import TORCH, Factory, Operations


class PoseGuider(nn.Module):
    """The public form: features for the denoiser's first feature map, after conv_in."""

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
    """The paper's form: features for the noise latent, before conv_in."""

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
    """Return the Pose Guider of this form; its attribute `form` names it.

    The denoiser tells the two forms' features apart by their channels.
    """
    make = Factory(operations, dtype, device)
    return {"conv3": PoseGuider, "paper": PaperPoseGuider}[config.form](config, make)
