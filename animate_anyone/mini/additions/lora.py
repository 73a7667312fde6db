"""The LoRA that turns aa-mini's pictures into ink drawings."""

from pathlib import Path

import torch
from torch import Tensor

from ...networks.condition import Conditions
from ...training.trainable.low_rank import add_low_rank, kohya_tensors
from ...weights.additions import LORA
from .addition import Addition, train_addition
from .base import FrozenBase
from .examples import draw_ink
from .step import AdditionTraining

INK = AdditionTraining(steps=300, characters=120, learning_rate=3e-3, figure_weight=1.0)
RANK = 4
# Layers at the resolution of the latents: a drawing style is local, not a matter of composition.
CHANGED = ("conv_in", "down_blocks.0.resnets", "up_blocks.2", "conv_out")
UNUSED = ("attn2.to_q", "attn2.to_k")  # without effect if there is only one image token


def train_lora(config: AdditionTraining, folder: Path, target: Path) -> Path:
    """Train the LoRA; see `train_addition`."""
    return train_addition(attach_lora, config, folder, target)


def attach_lora(base: FrozenBase, generator: torch.Generator) -> Addition:
    """Return new low-rank changes in the denoiser's weights."""
    denoiser = base.networks.denoiser
    changes = add_low_rank(denoiser, is_changed, RANK, generator)

    def predict(noisy: Tensor, timesteps: Tensor, conditions: Conditions, _: Tensor) -> Tensor:
        return base.predict(noisy, timesteps, conditions)

    return Addition(
        name="ink",
        draw=draw_ink,
        parameters={
            f"{name}.{part}": value
            for name, change in changes.items()
            for part, value in change.named_parameters()
        },
        predict=predict,
        tensors=lambda: kohya_tensors(denoiser, changes),
        file=LORA,
    )


def is_changed(name: str) -> bool:
    """Return whether the LoRA changes a layer of the denoiser."""
    return name.startswith(CHANGED) and not name.endswith(UNUSED)
