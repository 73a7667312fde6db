"""The course of a run, the same for both additions: examples, steps, the file, what it does."""

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
    """What is learned on top of the frozen networks, and on what."""

    name: str  # of the run's files
    draw: Draw  # of its examples
    parameters: dict[str, nn.Parameter]
    predict: Predict  # with the addition
    tensors: Callable[[], dict[str, Tensor]]  # of its weight file
    file: Path  # of the weights, among aa-mini's


Attach = Callable[[FrozenBase, torch.Generator], Addition]  # puts one, as yet without effect, on


def train_addition(
    attach: Attach,
    config: AdditionTraining,
    folder: Path,  # of runs; each set of aa-mini's files has its own inside
    target: Path,  # aa-mini's files, among which the addition's is written
) -> Path:
    """Train, or continue a run on the same weights; write the file and measure what it does."""
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
            value.data = value.half().float()  # as the file has it
        save_weights(path, addition.tensors(), dtype=torch.float16)
        if config.held_out:
            plain = FrozenBase(target)
            run.report(measure(addition.draw, plain, base, addition.predict, config.held_out))
    return path
