"""From noise to latents, step by step; the model is a callable."""

from collections.abc import Callable
from dataclasses import dataclass
from inspect import signature
from typing import Any

import torch
from torch import Tensor

from ..errors import InputError
from .schedule import SCHEDULERS, NoiseSchedule

SAMPLERS = tuple(SCHEDULERS)

Model = Callable[[Tensor, int, int], Tensor]
"""Called as model(latents, timestep, step); returns the schedule's prediction type."""


@dataclass(frozen=True, kw_only=True)
class SamplingStep:
    """What a callback sees after each step."""

    index: int  # from 0
    total: int  # steps of the whole run
    timestep: int
    latents: Tensor  # (b, c, f, h, w) after the step
    clean: Tensor  # (b, c, f, h, w) the finished latents as the model sees them now


StepCallback = Callable[[SamplingStep], None]
"""Called after each step; may raise to interrupt."""


def sample(
    model: Model,
    noise: Tensor,  # (b, c, f, h, w), standard normal
    schedule: NoiseSchedule,
    steps: int,
    sampler: str = "ddim",
    generator: torch.Generator | None = None,  # for samplers that add noise
    callback: StepCallback | None = None,
    *,
    parity: bool = False,
) -> Tensor:  # (b, c, f, h, w), dtype of the noise
    """Return the latents at the end of the sampling run.

    The state is float32 whatever the model computes in. `ddim` is our own deterministic step: the
    next timestep is the next one in the list. With `parity` it steps to t - 1000 // steps as the
    public implementation does, which differs when steps does not divide 1000. The other samplers
    are those of diffusers.
    """
    if sampler not in SAMPLERS:
        raise InputError(f"sampler got {sampler!r}; choose one of {', '.join(SAMPLERS)}.")
    schedule.timesteps(steps)  # refuses an impossible count before the model is called
    run = _Run(model, schedule, steps, callback)
    state = noise.to(torch.promote_types(noise.dtype, torch.float32))
    if sampler == "ddim":
        latents = _ddim(run, state, parity)
    else:
        latents = _with_scheduler(run, state, sampler, generator)
    return latents.to(noise.dtype)


def ddim_step(
    schedule: NoiseSchedule,
    output: Tensor,  # what the model said, (b, ...)
    latents: Tensor,  # same shape
    timestep: int,
    following: int,  # the timestep to go to; below 0 is the clean end
) -> tuple[Tensor, Tensor]:
    """Return latents at the following timestep, and the clean latents they lead to (eta = 0)."""
    clean = schedule.to_clean(output, latents, timestep)
    if following < 0:
        return clean, clean
    noise = schedule.to_noise(output, latents, timestep)
    return schedule.add_noise(clean, noise, following), clean


def following_timesteps(schedule: NoiseSchedule, steps: int, *, parity: bool = False) -> list[int]:
    """Return where each step of a DDIM run goes; below 0 is the clean end."""
    timesteps = schedule.timesteps(steps)
    if parity:
        pace = schedule.config.train_timesteps // steps
        return [timestep - pace for timestep in timesteps]
    return [*timesteps[1:], -1]


@dataclass(frozen=True)
class _Run:
    model: Model
    schedule: NoiseSchedule
    steps: int
    callback: StepCallback | None

    def report(self, index: int, timestep: int, latents: Tensor, clean: Tensor) -> None:
        if self.callback is None:
            return
        step = SamplingStep(
            index=index, total=self.steps, timestep=timestep, latents=latents, clean=clean
        )
        self.callback(step)


def _ddim(run: _Run, latents: Tensor, parity: bool) -> Tensor:
    timesteps = run.schedule.timesteps(run.steps)
    following = following_timesteps(run.schedule, run.steps, parity=parity)
    for index, (timestep, goal) in enumerate(zip(timesteps, following, strict=True)):
        output = run.model(latents, timestep, index).to(latents)
        latents, clean = ddim_step(run.schedule, output, latents, timestep, goal)
        run.report(index, timestep, latents, clean)
    return latents


def _with_scheduler(
    run: _Run, latents: Tensor, sampler: str, generator: torch.Generator | None
) -> Tensor:
    scheduler: Any = run.schedule.scheduler(sampler)
    scheduler.set_timesteps(run.steps)
    takes_generator = "generator" in signature(scheduler.step).parameters
    extra = {"generator": generator} if takes_generator else {}
    latents = latents * scheduler.init_noise_sigma
    for index, moment in enumerate(scheduler.timesteps):
        seen = scheduler.scale_model_input(latents, moment)
        timestep = round(float(moment))
        output = run.model(seen, timestep, index).to(latents)
        clean = run.schedule.to_clean(output, seen, timestep)
        latents = scheduler.step(output, moment, latents, **extra).prev_sample
        run.report(index, timestep, latents, clean)
    return latents
