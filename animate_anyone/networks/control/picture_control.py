"""A ControlNet for hints that match the frames place by place: edges, depth, segments.

This is the purpose for which ControlNets were made (arXiv 2302.05543), unlike the ControlNet for a
reference picture in controlnet.py. Frames are batch rows here, because every frame has its own
hint and no layer of a ControlNet connects frames.
"""

import torch
from torch import Tensor

from ...config import ControlConfig
from ...protocols import AttentionFunction
from ..attention import sdpa
from ..layers import TORCH, Factory, Operations
from ..pose_guider import PoseGuider
from .controlnet import ControlNet


class PictureControlNet(ControlNet):
    """A ControlNet with its own network for the hint; it may be narrower than the denoiser.

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
