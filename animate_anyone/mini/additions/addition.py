"""A run, the same for both additions: examples, steps, weight file, measurement."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from ...weights.bundle import save_weights
from ..loop import Run
from .base import FrozenBase
from .examples import Draw, Examples
from .measure import measure
from .step import AdditionTraining, Predict, step_loss


@dataclass(frozen=True, kw_only=True)
class Addition:
    """A LoRA or ControlNet to train on the frozen networks, and the source of its examples."""

    name: str  # of the run's files
    draw: Draw  # draws an example
    parameters: dict[str, nn.Parameter]
    predict: Predict  # prediction with the addition
    tensors: Callable[[], dict[str, Tensor]]  # returns the tensors of its weight file
    file: Path  # of the weights, in aa-mini's folder


Attach = Callable[[FrozenBase, torch.Generator], Addition]  # adds a new one, without effect yet


def train_addition(
    attach: Attach,
    config: AdditionTraining,
    folder: Path,  # of runs; each version of aa-mini's weights has its own subfolder
    target: Path,  # aa-mini's folder, into which the addition's file is written
) -> Path:
    """Train, or resume a run on the same weights; write the file, and measure its effect."""
    base = FrozenBase(target)
    folder = base.folder(folder)
    addition = attach(base, torch.Generator().manual_seed(config.seed))
    run = Run(folder / f"{addition.name}.pt", addition.parameters, config)
    examples = Examples.of(
        folder / f"{addition.name}.npz",
        addition.draw,
        base.autoencoder,
        count=config.characters,
        frames=config.frames,
        seed=config.seed,
    )
    run.train(partial(step_loss, base, examples, addition.predict, config))
    path = target / addition.file
    with run.average.in_place_of(run.parameters):
        for value in run.parameters.values():
            value.data = value.half().float()  # as stored in the file
        save_weights(path, addition.tensors(), dtype=torch.float16)
        if config.held_out:
            plain = FrozenBase(target)
            run.report(measure(addition.draw, plain, base, addition.predict, config.held_out))
    return path
