"""Random initial weights for training from scratch."""

import math

import torch
from torch import nn

from ..protocols import Look
from .attention import Attention, TransformerBlock
from .pose_guider import PaperPoseGuider, PoseGuider
from .position import frame_table
from .temporal import FramePosition, TemporalTransformer


@torch.no_grad()
def initialise(
    module: nn.Module,
    *,
    generator: torch.Generator | None = None,
    tie_query_key: bool = False,  # self-attention starts by attending to similar tokens
    look: Look | None = None,  # called before each layer; may raise to interrupt
) -> nn.Module:
    """Fill every weight and buffer of a network in place and return the network.

    Convolutions and linear layers start uniform within 1/sqrt(fan-in). The last layers of motion
    modules and Pose Guider start as zeros, so that these change nothing until they are trained
    (paper, sections 3.2 and 3.3). With `tie_query_key`, spatial self-attention starts with equal,
    orthogonal query and key projections: a token then attends to similar tokens, and with a
    position code to the same place of the reference. So the network learns to copy sooner.
    """
    look = look or (lambda: None)
    for part in module.modules():
        look()
        if isinstance(part, nn.Linear | nn.Conv2d):
            _fill_uniform(part, generator)
        elif isinstance(part, nn.GroupNorm | nn.LayerNorm):
            nn.init.ones_(part.weight)
            nn.init.zeros_(part.bias)
        elif isinstance(part, FramePosition):
            part.pe.copy_(frame_table(part.pe.shape[1], part.pe.shape[2]))
    for part in module.modules():
        look()
        if isinstance(part, TemporalTransformer):
            _fill_zero(part.proj_out)
        elif isinstance(part, PoseGuider | PaperPoseGuider):
            _fill_zero(part.conv_out)
        elif tie_query_key and isinstance(part, TransformerBlock) and part.tail:
            _tie(part.attn1, generator)
    return module


def _fill_uniform(part: nn.Linear | nn.Conv2d, generator: torch.Generator | None) -> None:
    bound = 1 / math.sqrt(part.weight[0].numel())
    nn.init.uniform_(part.weight, -bound, bound, generator=generator)
    if part.bias is not None:
        nn.init.uniform_(part.bias, -bound, bound, generator=generator)


def _fill_zero(part: nn.Module) -> None:
    for parameter in part.parameters():
        nn.init.zeros_(parameter)


def _tie(attention: Attention, generator: torch.Generator | None) -> None:
    query, key, value = (
        part.get_parameter("weight") for part in (attention.to_q, attention.to_k, attention.to_v)
    )
    nn.init.orthogonal_(query, gain=0.7, generator=generator)
    key.copy_(query)
    nn.init.orthogonal_(value, generator=generator)
