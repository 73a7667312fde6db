"""The LoRA that turns aa-mini's pictures into ink drawings."""

from pathlib import Path

import torch
from torch import Tensor

from ...weights.additions import LORA
from ...weights.bundle import save_weights
from .base import Conditions, FrozenBase
from .examples import Examples, draw_ink
from .loop import AdditionRun, AdditionTraining
from .low_rank import add_low_rank, kohya_tensors
from .measure import measure

INK = AdditionTraining(steps=300, characters=120, learning_rate=3e-3, figure_weight=1.0)
RANK = 4
# Layers at the latents' own resolution: a look is a matter of places, not of the whole picture.
CHANGED = ("conv_in", "down_blocks.0.resnets", "up_blocks.2", "conv_out")
UNUSED = ("attn2.to_q", "attn2.to_k")  # with an image token alone


def train_lora(
    config: AdditionTraining,
    folder: Path,  # of runs; each set of aa-mini's files has its own inside
    target: Path,  # aa-mini's files, among which the LoRA is written
) -> Path:
    """Train, or continue a run on the same weights; write the file and measure what it does."""
    base = FrozenBase(target)
    folder = base.folder(folder)
    examples = Examples.of(
        folder / "ink.npz",
        draw_ink,
        base.autoencoder,
        count=config.characters,
        frames=config.frames,
        seed=config.seed,
    )
    denoiser = base.networks.denoiser
    generator = torch.Generator().manual_seed(config.seed)
    changes = add_low_rank(denoiser, is_changed, RANK, generator)
    parameters = {
        f"{name}.{part}": value
        for name, change in changes.items()
        for part, value in change.named_parameters()
    }
    run = AdditionRun("ink", parameters, config, folder)

    def predict(noisy: Tensor, timesteps: Tensor, conditions: Conditions, _: Tensor) -> Tensor:
        return base.predict(noisy, timesteps, conditions)

    run.train(base, examples, predict)
    with run.average.in_place_of(run.parameters):
        for value in parameters.values():
            value.data = value.half().float()  # as the file has it
        save_weights(target / LORA, kohya_tensors(denoiser, changes), dtype=torch.float16)
        measure(run, draw_ink, FrozenBase(target), base, predict)
    return target / LORA


def is_changed(name: str) -> bool:
    """Return whether the LoRA changes a layer of the denoiser."""
    return name.startswith(CHANGED) and not name.endswith(UNUSED)
