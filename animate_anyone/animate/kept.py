"""Latents that are known before sampling and stay: first frames of a clip, or its background."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..diffusion.samplers import Model
from ..diffusion.schedule import NoiseSchedule

FADED_FRAMES = 8  # new frames over which what the network misses of the held ones fades out


@dataclass(frozen=True)
class Kept:
    """Known latents of a clip, and where they are kept."""

    latents: Tensor  # (1, c, f, h, w) clean, in the denoiser's scale; unused where not kept
    where: Tensor  # (1, 1, f, h, w) bool
    held: int = 0  # first frames that are kept as a whole, since the clip goes on from them

    @classmethod
    def first_frames(
        cls,
        latents: Tensor,  # (1, c, n, h, w)
        frames: int,  # of the whole clip, n or more
    ) -> "Kept":
        """Return latents that are kept as the first frames of a clip."""
        held = latents.shape[2]
        whole = latents.new_zeros((*latents.shape[:2], frames, *latents.shape[3:]))
        whole[:, :, :held] = latents
        where = torch.zeros_like(whole[:, :1], dtype=torch.bool)
        where[:, :, :held] = True
        return cls(whole, where, held)

    def beneath(self, first: "Kept") -> "Kept":
        """Return both together; where both keep something, the other's latents are kept."""
        latents = torch.where(first.where, first.latents, self.latents.to(first.latents))
        return Kept(latents, self.where.to(first.where.device) | first.where, first.held)

    def to(self, like: Tensor) -> "Kept":
        """Return the same on the device and in the dtype of a tensor."""
        return replace(self, latents=self.latents.to(like), where=self.where.to(like.device))

    def over(
        self,
        latents: Tensor,  # (1, c, f, h, w)
    ) -> Tensor:  # (1, c, f, h, w)
        """Return latents in which the kept ones have replaced what was there."""
        return torch.where(self.where, self.latents.to(latents), latents)

    def held_in(
        self,
        model: Model,
        noise: Tensor,  # (1, c, f, h, w), what sampling starts from
        schedule: NoiseSchedule,
    ) -> Model:
        """Return a model for the sampler that gives the kept latents at every step.

        The network sees them at the step's noise level, made with the run's own noise. At a
        signal-to-noise ratio of zero they are noise like all others, as in training.
        """

        def held(latents: Tensor, timestep: int, step: int) -> Tensor:
            known = schedule.add_noise(self.latents, noise, timestep)
            seen = torch.where(self.where, known.to(latents), latents)
            clean = schedule.to_clean(model(seen, timestep, step).to(latents), seen, timestep)
            clean = self.over(fade_in(clean, self.latents, self.held))
            return schedule.output_for(clean, latents, timestep)

        return held


def fade_in(
    clean: Tensor,  # (1, c, f, h, w), the model's estimate of the clean latents
    known: Tensor,  # (1, c, n or more, h, w), the held ones
    held: int,  # n
) -> Tensor:  # (1, c, f, h, w)
    """Return the estimate with what it misses of the last held frame added to the next frames.

    The addition gets less with every frame, so that the clip leaves the held frames without a jump.
    """
    new = min(FADED_FRAMES, clean.shape[2] - held)
    if not held or new < 1:
        return clean
    missed = known[:, :, held - 1 : held].to(clean) - clean[:, :, held - 1 : held]
    shares = 1 - torch.arange(1, new + 1, device=clean.device) / (FADED_FRAMES + 1)
    result = clean.clone()
    result[:, :, held : held + new] += shares.to(clean)[None, None, :, None, None] * missed
    return result
