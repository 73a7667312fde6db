"""Sampling: from noise to latents, step by step. The model is a callable."""

from collections.abc import Callable
from dataclasses import dataclass
from inspect import signature
from typing import Any

import torch
from torch import Tensor

from .sampler_table import USUAL_SAMPLER, find_sampler
from .schedule import NoiseSchedule

Model = Callable[[Tensor, int, int], Tensor]
"""Called as model(latents, timestep, step); returns the schedule's prediction type."""


@dataclass(frozen=True, kw_only=True)
class SamplingStep:
    """What a callback gets after each step."""

    index: int  # from 0
    total: int  # steps of the whole run
    timestep: int
    latents: Tensor  # (b, c, f, h, w) after the step
    clean: Tensor  # (b, c, f, h, w) the model's estimate of the clean latents


StepCallback = Callable[[SamplingStep], None]
"""Called after each step; may raise to interrupt."""


@dataclass(frozen=True)
class Run:
    """One sampling run: what a sampler works with."""

    model: Model
    schedule: NoiseSchedule
    steps: int
    callback: StepCallback | None = None
    generator: torch.Generator | None = None  # for noise that is added at steps

    def report(
        self,
        index: int,  # of the step, from 0
        timestep: int,
        latents: Tensor,  # after the step
        clean: Tensor,  # the model's estimate of the clean latents
    ) -> None:
        """Call the callback, if there is one; every sampler does this after each step."""
        if self.callback is None:
            return
        step = SamplingStep(
            index=index, total=self.steps, timestep=timestep, latents=latents, clean=clean
        )
        self.callback(step)


def sample(
    model: Model,
    noise: Tensor,  # (b, c, f, h, w), standard normal
    schedule: NoiseSchedule,
    steps: int,
    sampler: str = USUAL_SAMPLER,
    generator: torch.Generator | None = None,  # for samplers that add noise
    callback: StepCallback | None = None,
) -> Tensor:  # (b, c, f, h, w), dtype of the noise
    """Return the latents at the end of the sampling run.

    The state is float32, also where the model computes in half precision. `ddim` is our own
    (diffusion/ddim.py); the other samplers are those of diffusers.
    """
    loop = find_sampler(sampler).loop
    schedule.timesteps(steps)  # refuses an impossible count before the model is called
    run = Run(model, schedule, steps, callback, generator)
    state = noise.to(torch.promote_types(noise.dtype, torch.float32))
    latents = loop(run, state) if loop else _with_scheduler(run, state, sampler)
    return latents.to(noise.dtype)


def _with_scheduler(run: Run, latents: Tensor, sampler: str) -> Tensor:
    scheduler: Any = run.schedule.scheduler(sampler)
    scheduler.set_timesteps(run.steps)
    takes_generator = "generator" in signature(scheduler.step).parameters
    extra = {"generator": run.generator} if takes_generator else {}
    latents = latents * scheduler.init_noise_sigma
    for index, moment in enumerate(scheduler.timesteps):
        seen = scheduler.scale_model_input(latents, moment)
        timestep = round(float(moment))
        output = run.model(seen, timestep, index).to(latents)
        clean = run.schedule.to_clean(output, seen, timestep)
        latents = scheduler.step(output, moment, latents, **extra).prev_sample
        run.report(index, timestep, latents, clean)
    return latents
