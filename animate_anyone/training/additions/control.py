"""The ControlNet on edges, trained beside the frozen aa-mini."""

from pathlib import Path

import torch
from torch import Tensor, nn

from ...config import AA_MINI_EDGES, ControlConfig
from ...networks.initialise import initialise
from ...networks.picture_control import PictureControlNet
from ...weights.additions import CONTROL
from ...weights.bundle import save_weights
from ..networks import plain_attention
from .base import Conditions, FrozenBase
from .examples import Examples, draw_edges
from .loop import AdditionRun, AdditionTraining
from .measure import measure

HINT_GAIN = 1.8  # of each convolution: the hint then reaches the size of the features beside it
EDGES = AdditionTraining(steps=1100, characters=320, frames=4, learning_rate=3e-3)


def train_control(
    config: AdditionTraining,
    folder: Path,  # of runs; each set of aa-mini's files has its own inside
    target: Path,  # aa-mini's files, among which the ControlNet is written
    layout: ControlConfig = AA_MINI_EDGES,
) -> Path:
    """Train, or continue a run on the same weights; write the file and measure what it does."""
    base = FrozenBase(target)
    folder = base.folder(folder)
    network = new_control(layout, torch.Generator().manual_seed(config.seed))
    run = AdditionRun("edges", dict(network.named_parameters()), config, folder)

    def predict(noisy: Tensor, timesteps: Tensor, conditions: Conditions, hints: Tensor) -> Tensor:
        def control(rows: Tensor, times: Tensor, tokens: Tensor) -> tuple[list[Tensor], Tensor]:
            return network(rows, times, tokens, hints.flatten(0, 1))

        return base.predict(noisy, timesteps, conditions, control)

    examples = Examples.of(
        folder / "edges.npz",
        draw_edges,
        base.autoencoder,
        count=config.characters,
        frames=config.frames,
        seed=config.seed,
    )
    run.train(base, examples, predict)
    with run.average.in_place_of(run.parameters):
        network.half().float()  # as the file has it
        save_weights(target / CONTROL, network.state_dict(), dtype=torch.float16)
        measure(run, draw_edges, base, base, predict)
    return target / CONTROL


def new_control(layout: ControlConfig, generator: torch.Generator) -> PictureControlNet:
    """Return a ControlNet that changes nothing yet, but sees its hint from the first step.

    Edges are thin and convolutions without norms many: from the usual starting weights no more
    than a hundredth of the hint would come through.
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
