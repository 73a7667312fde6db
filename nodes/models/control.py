"""The ControlNet that comes with aa-mini, for the host's own ControlNet nodes."""

from typing import Any

import torch
from torch import Tensor

from ...animate_anyone.networks.control.picture_control import PictureControlNet
from ...animate_anyone.weights.additions import example_control
from ...animate_anyone.weights.sets.aa_mini import AA_MINI_EDGES
from ..comfyui import host
from ..comfyui.attention import plain_attention
from .load import fill, parameter_count


class HostControlNet(PictureControlNet):
    """The core's ControlNet behind the signature that the host calls."""

    def __init__(self, *, operations: Any, dtype: torch.dtype) -> None:
        super().__init__(
            AA_MINI_EDGES, operations=operations, attention=plain_attention, dtype=dtype
        )
        self.dtype = dtype  # the host reads it

    def forward(
        self,
        x: Tensor,  # (n, c, h, w)
        hint: Tensor,  # (n, 3, 8h, 8w), 0..1
        timesteps: Tensor,  # (n,)
        context: Tensor,  # (n, t, d)
        **_: Any,  # arguments of other nodes
    ) -> dict[str, list[Tensor]]:
        """Return the residuals by the host's names."""
        down, middle = super().forward(x, timesteps, context, hint)
        return {"output": down, "middle": [middle]}


def load_control() -> host.ControlNet:
    """Return the ControlNet under the host's memory management."""
    weights = example_control()
    dtype, compute = host.choose_dtypes(parameter_count(weights), "automatic")
    network = HostControlNet(operations=host.pick_operations(dtype, compute), dtype=dtype)
    network.eval().requires_grad_(False)
    fill(network, weights, dtype, owned=False)
    return host.make_control(network, compute)
