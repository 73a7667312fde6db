"""Measure the effect of an addition on held-out characters."""

import numpy as np
import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

from ...diffusion.samplers import sample
from ...evaluation.metrics.frames import psnr, psnr_inside
from ...media import to_pixels
from ...networks.condition import Conditions
from .base import FrozenBase
from .examples import Draw, Drawn, as_batch, encoded, held_out
from .step import Predict

STEPS = 10  # of sampling
FRAMES = 2  # of each character
NEAR = 7  # pixels: side of the square by which the figure's mask is widened


def measure(
    draw: Draw,
    plain: FrozenBase,
    changed: FrozenBase,  # with a LoRA in its weights; for a ControlNet they equal `plain`'s
    predict: Predict,  # with the addition
    characters: int,
) -> dict[str, float]:
    """Return the PSNR of sampled frames without the addition and with it, in dB."""

    def without(noisy: Tensor, timesteps: Tensor, conditions: Conditions, _: Tensor) -> Tensor:
        return plain.predict(noisy, timesteps, conditions)

    return {
        f"{name}_{way}": value
        for way, base, chosen in (("without", plain, without), ("with", changed, predict))
        for name, value in sampled(base, draw, chosen, characters=characters).items()
    }


@torch.no_grad()
def sampled(base: FrozenBase, draw: Draw, predict: Predict, *, characters: int) -> dict[str, float]:
    """Return the mean PSNR in dB of whole frames and of the figure, for sampled frames.

    They are sampled without guidance, each frame from its own noise.
    """
    generator = torch.Generator().manual_seed(0)
    values = []
    for index in range(characters):
        drawn = held_out(draw, index, FRAMES)
        frames = _frames_of(base, drawn, predict, generator)
        truth = to_pixels(drawn.targets)
        masks = torch.from_numpy(drawn.masks).float()[:, None]
        near = F.max_pool2d(masks, NEAR, 1, NEAR // 2)[:, 0] > 127
        pair = psnr(frames, truth).mean(), psnr_inside(frames, truth, near).mean()
        values.append([float(value) for value in pair])
    return dict(zip(("psnr", "figure_psnr"), np.mean(values, 0).tolist(), strict=True))


def _frames_of(
    base: FrozenBase, drawn: Drawn, predict: Predict, generator: torch.Generator
) -> Tensor:  # (f, 3, H, W), 0..1
    """Return the sampled frames of an example."""
    rows = {key: value[None] for key, value in encoded(drawn, base.autoencoder).items()}
    batch, hints = as_batch(rows)
    conditions = base.conditions(batch, [True])

    def model(latents: Tensor, timestep: int, _: int) -> Tensor:
        return predict(latents, torch.full((1, FRAMES), timestep), conditions, hints)

    noise = torch.randn(batch.targets.shape, generator=generator)
    latents = sample(model, noise, base.schedule, STEPS)
    return base.autoencoder.decode(rearrange(latents, "1 c f h w -> f c h w"))
