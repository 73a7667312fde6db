"""Settings and loss of a training step, the same for both additions."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from ...errors import ConfigError
from ...networks.condition import Conditions
from ...training.loop.draws import draw_step
from ...training.loop.losses import BatchFacts, figure_error, loss_weights, total_loss
from ..loop import LoopConfig
from .base import FrozenBase
from .examples import Examples

# Takes noisy latents, timesteps, a batch's conditions and its hints; returns the prediction.
Predict = Callable[[Tensor, Tensor, Conditions, Tensor], Tensor]


@dataclass(frozen=True, kw_only=True)
class AdditionTraining(LoopConfig):
    """How an addition is trained."""

    characters: int  # to paint
    frames: int = 6  # of each
    examples: int = 4  # characters per step
    warm_up: int = 30  # steps
    decay_from: float = 0.4  # share of the run after which the learning rate falls to zero
    average_decay: float = 0.98  # of the moving average of the weights
    condition_dropout: float = 0.1  # share of examples without reference and image token
    figure_weight: float = 2.0  # extra weight of the loss inside the figure
    losses: Mapping[str, float] = field(default_factory=dict)  # weight by term; others: default
    min_snr_gamma: float = 0.0  # as in TrainingConfig
    min_snr_formula: str = "paper"
    save_every: int = 100  # steps
    held_out: int = 24  # characters on which it is measured; 0: not measured
    mixed_precision: bool = True  # bf16

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "losses", loss_weights(self.losses))
        self.require_positive("characters", "frames", "examples")
        if self.examples > self.characters:
            raise ConfigError(
                f"examples got {self.examples} per step; there are {self.characters} characters, "
                "and a step takes none twice. Choose fewer, or more characters."
            )


def step_loss(
    base: FrozenBase,
    examples: Examples,
    predict: Predict,  # with the addition
    config: AdditionTraining,
    step: int,  # the batch depends on seed and step
) -> tuple[Tensor, dict[str, float]]:
    """Return the loss of a step; for the log, the error inside the figure and the loss's terms."""
    batch, hints = examples.batch(np.random.default_rng((config.seed, step)), config.examples)
    targets = batch.targets
    drawn = draw_step(
        config.seed,
        step,
        range(len(targets)),
        targets.shape[1:],
        train_timesteps=base.schedule.config.train_timesteps,
        shared_timestep=False,
        dropout=config.condition_dropout,
        noise_offset=0.0,
    )
    noisy = base.schedule.add_noise(targets, drawn.noise, drawn.timesteps)
    wanted = base.schedule.target(targets, drawn.noise, drawn.timesteps)
    with torch.autocast("cpu", torch.bfloat16, enabled=config.mixed_precision):
        conditions = base.conditions(batch, drawn.keep)
        output = predict(noisy, drawn.timesteps, conditions, hints)
    assert batch.masks is not None
    facts = BatchFacts(
        settings=config,
        schedule=base.schedule,
        noisy=noisy,
        timesteps=drawn.timesteps,
        masks=batch.masks,
    )
    loss, terms = total_loss(output, wanted, facts)
    return loss, {"figure_error": figure_error(output.detach(), wanted, batch.masks), **terms}
