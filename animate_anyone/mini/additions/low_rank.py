"""Low-rank changes of weights (arXiv 2106.09685), stored in a form that ComfyUI reads."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

PREFIX = "lora_unet_"


class LowRank(nn.Module):
    """Adds a product of two thin matrices to a weight; zero at the start."""

    def __init__(self, weight: Tensor, rank: int, generator: torch.Generator) -> None:
        super().__init__()
        inputs = weight[0].numel()
        self.down = nn.Parameter(torch.randn(rank, inputs, generator=generator) * inputs**-0.5)
        self.up = nn.Parameter(torch.zeros(len(weight), rank))

    def forward(self, weight: Tensor) -> Tensor:
        return weight + (self.up @ self.down).view_as(weight)


def add_low_rank(
    network: nn.Module,
    chosen: Callable[[str], bool],  # by the name of a layer: whether its weight is changed
    rank: int,
    generator: torch.Generator,
) -> dict[str, LowRank]:
    """Add trainable low-rank changes to chosen layers of a frozen network; return them by name."""
    changes = {}
    for name, module in [*network.named_modules()]:
        if isinstance(module, nn.Linear | nn.Conv2d) and chosen(name):
            changes[name] = LowRank(module.weight.detach(), rank, generator)
            parametrize.register_parametrization(module, "weight", changes[name])
    return changes


def kohya_tensors(network: nn.Module, changes: dict[str, LowRank]) -> dict[str, Tensor]:
    """Return the changes with the tensor names of kohya's scripts.

    Alpha equals the rank, so that strength 1 gives the trained change.
    """
    tensors = {}
    for name, change in changes.items():
        weight = network.get_submodule(name).get_parameter("parametrizations.weight.original")
        rank, key = len(change.down), PREFIX + name.replace(".", "_")
        ones = (1,) * (weight.ndim - 2)
        tensors[f"{key}.lora_down.weight"] = change.down.detach().view(rank, *weight.shape[1:])
        tensors[f"{key}.lora_up.weight"] = change.up.detach().view(len(weight), rank, *ones)
        tensors[f"{key}.alpha"] = torch.tensor(float(rank))
    return tensors
