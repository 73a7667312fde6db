"""Random draws of a step: noise, timesteps, and the rows whose condition is dropped.

They depend only on seed, step and row. So a resumed run continues exactly, and several processes,
or parts of a step computed in turn, draw the same values as a single process.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class StepNoise:
    """The random draws for the rows of a step."""

    noise: Tensor  # (b, c, f, h, w)
    timesteps: Tensor  # (b, f)
    keep: tuple[bool, ...]  # per row: False drops reference and image token


def draw_step(
    seed: int,
    step: int,
    rows: Sequence[int],
    shape: Sequence[int],  # (c, f, h, w)
    *,
    train_timesteps: int,
    shared_timestep: bool,  # one for all frames of a row
    dropout: float,
    noise_offset: float,
) -> StepNoise:
    """Return the rows' draws, on the CPU."""
    drawn = []
    for row in rows:
        state = np.random.SeedSequence((seed, step, row)).generate_state(1, np.uint64)
        generator = torch.Generator().manual_seed(int(state[0] >> np.uint64(1)))
        noise = torch.randn(*shape, generator=generator)
        if noise_offset:
            noise += noise_offset * torch.randn(shape[0], 1, 1, 1, generator=generator)
        count = 1 if shared_timestep else shape[1]
        timesteps = torch.randint(train_timesteps, (count,), generator=generator)
        keep = float(torch.rand((), generator=generator)) >= dropout
        drawn.append((noise, timesteps.expand(shape[1]), keep))
    noises, timesteps, keep = zip(*drawn, strict=True)
    return StepNoise(torch.stack(noises), torch.stack(timesteps), tuple(keep))
