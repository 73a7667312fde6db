"""What a training step needs at the very least, so that what can never fit is refused before it.

On a CPU a process that needs more memory than there is gets killed, without a word of its own; on
a card the error names neither settings nor a way out.
"""

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import TYPE_CHECKING, cast

import torch
from torch import nn

from ..config import Preset
from ..memory import require_room
from ..networks.attention import SpatialTransformer
from ..networks.call_memory import PIXELS_PER_LATENT
from ..networks.layers import FeedForward, ResnetBlock
from ..networks.levels import Level
from ..networks.temporal import MotionModule, TemporalAttention, TemporalBlock
from ..networks.unet import UNet
from ..types import Size
from .config import TrainingConfig
from .loop.reading import Part
from .networks import UNUSED, AnimateNetworks

if TYPE_CHECKING:
    from accelerate import Accelerator

log = logging.getLogger(__name__)

_ADAM_BYTES = {"adamw": 8, "adamw8bit": 2}  # of a trained number: two moments
_FLOAT_BYTES = 4  # of a weight and of a gradient, in every precision
_SELDOM = 1e-9  # a chance that does not count
_WHOLE = ("NO", "MULTI_GPU", "MULTI_CPU")  # accelerate's names: each process has all weights


@dataclass(frozen=True, kw_only=True)
class Needs:
    """The least memory of a training step, in bytes."""

    weights: int  # of all networks, the moving average included
    gradients: int
    optimiser: int  # from the second step on
    activations: int = 0  # that the backward pass needs; 0: the size is not known
    together: bool = False  # gradients of an earlier part exist beside the activations

    @property
    def total(self) -> int:
        """The most of it that exists at one time."""
        parts = (self.gradients, self.activations)
        return self.weights + self.optimiser + (sum(parts) if self.together else max(parts))

    def text(self) -> str:
        """Return the parts in words."""
        parts = {
            "weights": self.weights,
            "gradients": self.gradients,
            "optimiser": self.optimiser,
            "activations": self.activations,
        }
        told = ", ".join(f"{name} {_amount(size)}" for name, size in parts.items() if size)
        return f"at least {_amount(self.total)} of memory ({told})"


def least_needs(
    preset: Preset,
    config: TrainingConfig,
    size: Size | None = None,  # of the pictures; None: not known, no activations are counted
    *,
    processes: int = 1,  # that share a step
    device: torch.device,
) -> Needs:
    """Return a lower bound of what a step needs on the device of a process."""
    networks, every, counts = _networks(preset, *(getattr(config, name) for name in _SHAPING))
    learning = sum(count for name, count in counts.items() if _learns(name, config))
    averaged = sum(counts.values()) if config.average_decay else 0
    activations = 0
    if size is not None:
        rows = config.examples // (processes * config.accumulate)
        scores = device.type == "cpu"  # cards have kernels that do not keep them
        activations = rows * config.frames * _stored(networks.denoiser, config, size, scores=scores)
    return Needs(
        weights=(every + averaged) * _FLOAT_BYTES,
        gradients=learning * _FLOAT_BYTES,
        optimiser=learning * _ADAM_BYTES[config.optimizer] if config.steps > 1 else 0,
        activations=activations * (_FLOAT_BYTES if config.mixed_precision == "no" else 2),
        together=config.accumulate > 1,
    )


def require_room_to_train(
    preset: Preset,
    config: TrainingConfig,
    size: Size | None = None,  # of the pictures; None: not known yet
    *,
    processes: int = 1,  # that share a step
    device: torch.device,
) -> Needs:
    """Return what a step needs at least; InputError if the device can never hold that."""
    needs = least_needs(preset, config, size, processes=processes, device=device)
    fixed = replace(needs, activations=0)
    of = "" if size is None else f" of {size.width}x{size.height} pixels"
    for part, what, way_out in (
        (
            fixed,
            f"preset got {preset.name!r} to train in stage {config.stage}",
            "Train a LoRA (lora), fewer parts of the networks (train), without a moving average "
            "(average_decay 0), or with the optimizer adamw8bit.",
        ),
        (
            needs,
            f"examples got {config.examples} with {config.frames} frames{of} each",
            "Choose fewer examples or frames, smaller pictures, more parts (accumulate), or "
            "gradient_checkpointing.",
        ),
    ):
        if device.type != "cpu":  # networks are built in the computer's memory
            require_room(part.weights, what, way_out)
        require_room(part.total, f"{what}, {part.text()}", way_out, device)
    return needs


class Room:
    """Checks a run before it builds its networks, and before each step of a new size."""

    def __init__(self, preset: Preset, config: TrainingConfig, accelerator: "Accelerator") -> None:
        """Raise InputError if the networks alone, with what training adds, can never fit.

        Nothing is known of processes that divide weights among them or keep them elsewhere.
        """
        self.needs: Needs | None = None  # of the largest step so far
        self._check = partial(
            require_room_to_train,
            *(preset, config),
            processes=accelerator.num_processes,
            device=accelerator.device,
        )
        self._whole = accelerator.distributed_type.value in _WHOLE
        self._tells = accelerator.is_main_process
        if self._whole:
            self._check()

    def checked(
        self,
        steps: Iterable[list[Part]],
    ) -> Iterator[list[Part]]:
        """Yield the parts of each step; InputError before one that can never fit."""
        known = set()
        for parts in steps:
            for _, batch in parts:
                size = Size(batch.poses.shape[-1], batch.poses.shape[-2])
                if self._whole and size not in known:
                    self._add(size)
                    known.add(size)
            yield parts

    def _add(self, size: Size) -> None:
        needs = self._check(size)
        if self._tells:
            log.info("a step of %dx%d pixels needs %s", size.width, size.height, needs.text())
        if self.needs is None or needs.total > self.needs.total:
            self.needs = needs


# The fields of a configuration that decide which networks are built, and what of them learns.
_SHAPING = ("preset", "variant", "stage", "train", "lora", "train_image_encoder")


@lru_cache(maxsize=4)
def _networks(
    preset: Preset,
    *values: str | int,  # of _SHAPING
) -> tuple[AnimateNetworks, int, dict[str, int]]:
    """Return the networks of a stage without values; how many they have, and each part that learns.

    The numbers are kept as well: to count them takes longer than to build the networks.
    """
    fields = dict(zip(_SHAPING, values, strict=True))
    config = TrainingConfig(**cast(dict, fields))
    unet = preset.unet if config.stage == 2 else replace(preset.unet, motion=None)
    with torch.device("meta"):
        networks = AnimateNetworks(
            replace(preset, unet=unet), config.variant, image_encoder=config.train_image_encoder
        )
    learning = {name: value.numel() for name, value in networks.train_stage(config).items()}
    return networks, sum(value.numel() for value in networks.parameters()), learning


def _learns(name: str, config: TrainingConfig) -> bool:
    """Return whether a chosen parameter surely gets a gradient in some step.

    A single image token gives queries and keys of cross-attention no effect. ReferenceNet and the
    image encoder get none in a step that drops the condition of all its rows.
    """
    unused = (*UNUSED, "transformer_blocks.0.norm2")
    if any(f"{part}." in name and "motion_modules" not in name for part in unused):
        return False
    if config.variant != "reference_net" and ("attn2." in name or not name.startswith("denoiser.")):
        return False
    always = name.startswith(("denoiser.", "pose_guider."))
    return always or config.condition_dropout ** (config.examples * config.steps) < _SELDOM


def _stored(
    denoiser: UNet,
    config: TrainingConfig,
    size: Size,
    *,
    scores: bool,  # attention keeps the weights of all keys
) -> int:
    """Return how many numbers of a frame the denoiser keeps for the backward pass, at the least.

    A gradient goes through all of its layers, down to the first convolution. A norm, an activation
    and attention keep their inputs; a layer with weights keeps its input if they are trained.
    """
    places = [size.width // PIXELS_PER_LATENT, size.height // PIXELS_PER_LATENT]
    of_level = []
    for _ in denoiser.config.block_out_channels:
        of_level.append(places[0] * places[1])
        places = [-(-side // 2) for side in places]
    inputs, layers, frames = 0, [], config.frames
    for level in (*denoiser.down_blocks, denoiser.mid_block, *denoiser.up_blocks):
        level = cast(Level, level)
        count = of_level[level.level]
        for number, resnet in enumerate(level.resnets):
            parts = [_of_resnet(cast(ResnetBlock, resnet))]
            if number < len(level.attentions):
                transformer = cast(SpatialTransformer, level.attentions[number])
                parts.append(_of_transformer(transformer, count if scores else 0))
            if number < len(level.motion_modules):
                module = cast(MotionModule, level.motion_modules[number])
                parts.append(_of_motion(module, frames if scores else 0))
            layers.append(count * sum(parts))
            inputs += count * cast(nn.Conv2d, cast(ResnetBlock, resnet).conv1).in_channels
    if config.gradient_checkpointing:  # the last layer is the first that is computed again
        return inputs + layers[-1]
    return sum(layers)


def _of_resnet(block: ResnetBlock) -> int:  # numbers of one place, as the next functions return
    conv = cast(nn.Conv2d, block.conv1)
    inputs, outputs = conv.in_channels, conv.out_channels
    return 2 * (inputs + outputs) + inputs * _moves(block.conv1) + outputs * _moves(block.conv2)


def _of_transformer(transformer: SpatialTransformer, keys: int) -> int:
    block = transformer.block
    channels, attention = block.channels, block.attn1
    norms, projected = 3, 3  # inputs of norms; query, key and value
    layers = (transformer.proj_in, attention.to_q, attention.to_out, transformer.proj_out)
    inputs = sum(map(_moves, layers))
    kept = channels * (norms + projected + inputs) + attention.heads * keys
    return kept + _of_feed_forward(block.ff, channels)


def _of_motion(module: MotionModule, keys: int) -> int:
    transformer = module.temporal_transformer
    block = cast(TemporalBlock, transformer.transformer_blocks[0])
    channels = cast(nn.Linear, transformer.proj_in).in_features
    kept = channels * (2 + _moves(transformer.proj_in) + _moves(transformer.proj_out))
    for part in block.attention_blocks:
        attention = cast(TemporalAttention, part)
        inputs = _moves(attention.to_q) + _moves(attention.to_out)
        kept += channels * (1 + 3 + inputs) + attention.heads * keys
    return kept + _of_feed_forward(block.ff, channels)


def _of_feed_forward(layer: FeedForward, channels: int) -> int:
    return layer.inner * (3 + _moves(layer.net[2])) + channels * _moves(layer.net[0])


def _moves(layer: nn.Module) -> bool:
    """Return whether a layer's weights are trained, by themselves or by a LoRA."""
    return any(value.requires_grad for value in layer.parameters())


def _amount(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e8 else f"{size / 1e6:.1f} MB"
