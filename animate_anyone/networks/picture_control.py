"""A ControlNet on pictures that lie where the frames lie: edges, depth, segments.

Unlike the one on a reference picture, this is what such residuals were made for (arXiv
2302.05543): what stands in the hint stands at the same place in the frame. Frames are rows here,
because a hint belongs to a frame and no layer of a ControlNet looks across frames.
"""

import torch
from torch import Tensor

from ..config import ControlConfig
from ..protocols import AttentionFunction
from .attention import sdpa
from .controlnet import ControlNet
from .layers import TORCH, Factory, Operations
from .pose_guider import PoseGuider


class PictureControlNet(ControlNet):
    """A ControlNet with its own network to look at the hint; it may be slimmer than the denoiser.

    Parameter names are those of the public ControlNets.
    """

    def __init__(
        self,
        config: ControlConfig,
        *,
        operations: Operations = TORCH,
        attention: AttentionFunction = sdpa,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> None:
        make = Factory(operations, dtype, device)
        super().__init__(config.unet, feeds=config.feeds, make=make, attention=attention)
        self.controlnet_cond_embedding = PoseGuider(config.hint, make)

    def forward(
        self,
        latents: Tensor,  # (n, c, h, w)
        timesteps: Tensor,  # (n,), 0..999
        context: Tensor,  # (n, t, d) image tokens
        hint: Tensor,  # (n, 3, H, W), 0..1
    ) -> tuple[list[Tensor], Tensor]:  # (n, c', h, w) each: per skip connection; the middle's
        """Return what the denoiser adds to its skip connections and after its middle block."""
        return self.residuals(
            latents[:, :, None],
            timesteps[:, None],
            self.prepare(context),
            self.controlnet_cond_embedding(hint.to(latents)),
        )
