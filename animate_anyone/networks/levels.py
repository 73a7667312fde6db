"""The levels of the UNet, each with layers of one width: down, middle and up."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from ..config import UNetConfig
from ..errors import InputError
from ..protocols import AttentionFunction, Patches
from .attention import SpatialTransformer
from .beside import BlockCondition, KeyValue, Persons, PersonsOfBlock
from .layers import Downsample, Factory, ResnetBlock, Upsample
from .position import resize_code
from .temporal import MotionModule


@dataclass(frozen=True)
class PreparedCondition:
    """All that the denoiser computes from context, reference and its own weights before sampling.

    It is valid for a whole sampling run; after the weights change (a LoRA) prepare it again.
    """

    reference: tuple[KeyValue, ...] | None  # per transformer block, in order of execution
    cross: tuple[Tensor | KeyValue, ...]  # per block: (b, 1, c) for a one-token context
    attends: tuple[bool, ...]  # per row: whether it attends to the reference
    context: Tensor  # (b, n, d) the image tokens; needed only where `Patches` read them
    # Per block (1 or attending rows, n): added to the scores of the reference's keys. None: 0.
    bias: tuple[Tensor, ...] | None = None
    persons: tuple[PersonsOfBlock, ...] | None = None  # per block; None: one character
    places: Tensor | None = None  # (b or 1, f, h, w) of the frames of a call, see `Persons`

    def with_places(
        self,
        places: Tensor,  # (b or 1, f, h, w) whole numbers, of this call's frames
    ) -> "PreparedCondition":
        """Return the condition for frames in which places belong to persons, see `Persons`."""
        return replace(self, places=places)

    def at_strength(
        self,
        strength: float,  # 0 or more
    ) -> "PreparedCondition":
        """Return the condition with the whole reference at a strength; the tensors are shared.

        With 1 it is the same object. With 0 no row attends; the image token stays.
        """
        if strength == 1 or self.reference is None:
            return self
        if strength == 0:
            return replace(self, reference=None, bias=None, attends=(False,) * len(self.attends))
        bias = self.bias or tuple(
            pair.key.new_zeros(1, pair.key.shape[2], dtype=torch.float32) for pair in self.reference
        )
        return replace(self, bias=tuple(part + math.log(strength) for part in bias))

    def block(
        self,
        index: int,
        size: Sequence[int],  # rows and columns of the block's features
    ) -> BlockCondition:
        """Return the condition of one transformer block."""
        reference = None if self.reference is None else self.reference[index]
        bias = None if self.bias is None else self.bias[index]
        persons = None
        if reference is not None and self.persons is not None and self.places is not None:
            each = self.persons[index]
            persons = Persons(each.ranges, each.cross, _resized(self.places, size))
        return BlockCondition(
            self.cross[index], reference, self.attends, self.context, bias, persons
        )


def _resized(
    places: Tensor,  # (b or 1, f, h, w) whole numbers
    size: Sequence[int],
) -> Tensor:  # (b or 1, f, n)
    return functional.interpolate(places.float(), size=tuple(size), mode="nearest-exact").flatten(2)


@dataclass(frozen=True, kw_only=True)
class Call:
    """The arguments that all levels share in one forward call of the network."""

    time: Tensor  # (b*f, 4*c), activated
    frames: int
    norm_frames: int  # frames whose statistics the norms of residual blocks compute together
    rows: int  # of the latents
    codes: tuple[Tensor | None, ...]  # per level: (1, n, c) position code
    condition: PreparedCondition
    attention: AttentionFunction
    collect: bool  # return the inputs of self-attention, which are ReferenceNet's features
    checkpointing: bool  # recompute layers in the backward pass
    patches: Patches | None = None  # a caller's changes

    def code(self, level: int, x: Tensor) -> Tensor | None:
        """Return the position code for features of a level, which a patch may have resized."""
        code, (rows, columns) = self.codes[level], x.shape[2:]
        if code is None or self.patches is None or code.shape[1] == rows * columns:
            return code
        return resize_code(code, -(-self.rows // 2**level), (rows, columns))


@dataclass(frozen=True, kw_only=True)
class Layers:
    """The layers of a level."""

    level: int  # 0 is full resolution
    inputs: tuple[int, ...]  # input channels of each residual block
    first: int  # index of the first transformer in the network, in order of execution
    block: int  # number of the first layer among those of its kind, see `Patches`
    tails: tuple[bool, ...]  # one per transformer; False: build only its norms and proj_in
    motions: int  # number of motion modules


class Level(nn.Module):
    """Layers of one width: a residual block, then maybe a transformer and a motion module."""

    kind: str  # how `Patches` call its blocks

    def __init__(self, config: UNetConfig, layers: Layers, make: Factory) -> None:
        super().__init__()
        self.level, self.first, self.number = layers.level, layers.first, layers.block
        channels, time = config.block_out_channels[layers.level], 4 * config.block_out_channels[0]
        width = (channels, config.heads, config.cross_attention_dim, config.ff_mult)
        groups, motion = config.norm_groups, config.motion
        self.resnets = nn.ModuleList(
            [ResnetBlock(inputs, channels, time, groups, make) for inputs in layers.inputs]
        )
        self.attentions = nn.ModuleList(
            [SpatialTransformer(*width, groups, make, tail=tail) for tail in layers.tails]
        )
        self.motion_modules = nn.ModuleList(
            [MotionModule(channels, motion, make) for _ in range(layers.motions) if motion]
        )

    def layer(self, number: int, x: Tensor, call: Call) -> tuple[Tensor, list[Tensor]]:
        """Return the features after one layer, and the input of its self-attention if collected."""
        if call.checkpointing and torch.is_grad_enabled():
            again = checkpoint(self._layer, number, x, call, use_reentrant=False)
            return cast(tuple[Tensor, list[Tensor]], again)
        return self._layer(number, x, call)

    def _layer(self, number: int, x: Tensor, call: Call) -> tuple[Tensor, list[Tensor]]:
        looked_at = []
        x = self.resnets[number](x, call.time, call.norm_frames)
        if number < len(self.attentions):
            transformer = cast(SpatialTransformer, self.attentions[number])
            tail = transformer.block.tail
            index = self.first + number
            condition = call.condition.block(index, x.shape[2:]) if tail else None
            patches = None
            if call.patches is not None:
                patches = call.patches.transformer(self.kind, self.number + number, index)
            x, seen = transformer(x, call.code(self.level, x), condition, call.attention, patches)
            looked_at = [seen] if call.collect else []
        if number < len(self.motion_modules):
            x = self.motion_modules[number](x, call.frames, call.attention)
        return x, looked_at


class DownLevel(Level):
    """Layers, then a step to half the resolution, except at the lowest level."""

    kind = "input"

    def __init__(self, config: UNetConfig, layers: Layers, make: Factory) -> None:
        super().__init__(config, layers, make)
        last = self.level == len(config.block_out_channels) - 1
        channels = config.block_out_channels[self.level]
        self.downsamplers = nn.ModuleList([] if last else [Downsample(channels, make)])

    def forward(
        self,
        x: Tensor,
        call: Call,
    ) -> tuple[Tensor, list[Tensor], list[Tensor]]:  # features, skip connections, attended inputs
        skips, looked_at = [], []
        for number in range(len(self.resnets)):
            x, seen = self.layer(number, x, call)
            x = keep_skip(x, skips, self.number + number, call.patches)
            looked_at += seen
        for downsample in self.downsamplers:
            x = downsample(x)
            x = keep_skip(x, skips, self.number + len(self.resnets), call.patches)
        return x, skips, looked_at


def keep_skip(
    x: Tensor,  # (b*f, c, h, w)
    skips: list[Tensor],  # gets the block's skip connection
    number: int,  # of the block
    patches: Patches | None,
) -> Tensor:
    """Store the features of a block on the way down; return them as the next one gets them."""
    skip, x = (x, x) if patches is None else patches.input_block(number, x)
    skips.append(skip)
    return x


class MidLevel(Level):
    """A layer and one more residual block."""

    kind = "middle"

    def forward(self, x: Tensor, call: Call) -> tuple[Tensor, list[Tensor]]:
        x, looked_at = self.layer(0, x, call)
        return self.resnets[1](x, call.time, call.norm_frames), looked_at


class UpLevel(Level):
    """Layers on features concatenated with skip connections, then a step to the next resolution."""

    kind = "output"

    def __init__(self, config: UNetConfig, layers: Layers, make: Factory) -> None:
        super().__init__(config, layers, make)
        channels = config.block_out_channels[self.level]
        self.upsamplers = nn.ModuleList([Upsample(channels, make)] if self.level else [])

    def forward(
        self,
        x: Tensor,
        skips: list[Tensor],  # of the whole network; this level removes its own from the end
        call: Call,
        *,
        last_only: bool = False,  # run the last layer alone, on the features that enter it
        kept: list[Tensor] | None = None,  # gets the features that enter the last layer
    ) -> tuple[Tensor, list[Tensor]]:
        looked_at, last = [], len(self.resnets) - 1
        for number in range(last if last_only else 0, last + 1):
            if kept is not None and number == last:
                kept.append(x)
            skip = skips.pop()
            if call.patches is not None:
                x, skip = call.patches.output_block(self.number + number, x, skip)
            x, seen = self.layer(number, torch.cat([x, skip], dim=1), call)
            looked_at += seen
        for upsample in self.upsamplers:
            x = upsample(x, skips[-1].shape[2:])
        return x, looked_at


def add_residuals(skips: Sequence[Tensor], residuals: Sequence[Tensor | None]) -> list[Tensor]:
    """Add a ControlNet's residuals to the skip connections; None adds nothing."""
    if len(residuals) != len(skips):
        raise InputError(
            f"down_residuals got {len(residuals)} tensors; this network has {len(skips)} skip "
            "connections. Use a ControlNet made for the same layout of UNet."
        )
    return [
        skip if residual is None else with_residual(skip, residual)
        for skip, residual in zip(skips, residuals, strict=True)
    ]


def fitting_features(
    deep: Tensor,  # (b*f, c', h, w) features of an earlier call
    x: Tensor,  # (b*f, c, h, w) the skip connection that they are joined with
) -> Tensor:
    """Return the features on the device and in the dtype of this call; InputError if not of it."""
    if (len(deep), *deep.shape[2:]) != (len(x), *x.shape[2:]):
        raise InputError(
            f"deep got features of shape {tuple(deep.shape)}; this call needs those of {len(x)} "
            f"frames of {tuple(x.shape[2:])} rows and columns. Keep features for each window and "
            "each set of rows."
        )
    return deep.to(x)


def with_residual(x: Tensor, residual: Tensor) -> Tensor:
    """Return features with a ControlNet's residual; InputError if their sizes differ."""
    sides = zip(residual.shape[2:], x.shape[2:], strict=True)
    if any(side not in (1, own) for side, own in sides):
        raise InputError(
            f"ControlNet got features of {tuple(x.shape[2:])} rows and columns, its own have "
            f"{tuple(residual.shape[2:])}; they must agree. Leave out the ControlNet, or the patch "
            "that resizes features inside the model."
        )
    return x + residual.to(x)
