"""The ControlNet on edges, trained beside the frozen aa-mini."""

from pathlib import Path

import torch
from einops import rearrange
from torch import Tensor, nn

from ...config import ControlConfig
from ...networks.condition import Conditions
from ...networks.control.picture_control import PictureControlNet
from ...networks.initialise import initialise
from ...training.networks import plain_attention
from ...weights.additions import CONTROL
from ...weights.sets.aa_mini import AA_MINI_EDGES
from .addition import Addition, train_addition
from .base import FrozenBase
from .examples import draw_edges
from .step import AdditionTraining

HINT_GAIN = 1.8  # of each convolution; it brings the hint to the size of the features it joins
EDGES = AdditionTraining(steps=1100, characters=320, frames=4, learning_rate=3e-3)


def train_control(config: AdditionTraining, folder: Path, target: Path) -> Path:
    """Train the ControlNet; see `train_addition`."""
    return train_addition(attach_control, config, folder, target)


def attach_control(base: FrozenBase, generator: torch.Generator) -> Addition:
    """Return a new ControlNet for the frozen networks."""
    network = new_control(AA_MINI_EDGES, generator)

    def predict(noisy: Tensor, timesteps: Tensor, conditions: Conditions, hints: Tensor) -> Tensor:
        def control(rows: Tensor, times: Tensor, tokens: Tensor) -> tuple[list[Tensor], Tensor]:
            return network(rows, times, tokens, rearrange(hints, "b f c H W -> (b f) c H W"))

        return base.predict(noisy, timesteps, conditions, control)

    return Addition(
        name="edges",
        draw=draw_edges,
        parameters=dict(network.named_parameters()),
        predict=predict,
        tensors=network.state_dict,
        file=CONTROL,
    )


def new_control(layout: ControlConfig, generator: torch.Generator) -> PictureControlNet:
    """Return a ControlNet that has no effect yet, but receives its hint from the first step.

    Edges are thin, and there are many convolutions without normalisation: with the usual starting
    weights, at most a hundredth of the hint would pass through them.
    """
    network = PictureControlNet(layout, attention=plain_attention)
    initialise(network, generator=generator)
    for part in network.controlnet_cond_embedding.modules():
        if isinstance(part, nn.Conv2d):
            std = HINT_GAIN * part.weight[0].numel() ** -0.5
            nn.init.normal_(part.weight, std=std, generator=generator)
            nn.init.zeros_(part.get_parameter("bias"))
    network.start_from_zero()
    return network
