"""Our own DDIM: deterministic; each step goes to the next timestep in the run's list."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from .samplers import Run
    from .schedule import NoiseSchedule


def ddim(
    run: "Run",
    latents: "Tensor",  # (b, c, f, h, w), noise
) -> "Tensor":  # (b, c, f, h, w)
    """Return the latents at the end of the run."""
    return ddim_along(run, latents, next_timesteps(run.schedule, run.steps))


def ddim_along(
    run: "Run",
    latents: "Tensor",  # (b, c, f, h, w), noise
    targets: Sequence[int],  # the timestep that each step goes to; below 0 means clean latents
) -> "Tensor":  # (b, c, f, h, w)
    """Return the latents at the end of a DDIM run with these target timesteps."""
    timesteps = run.schedule.timesteps(run.steps)
    for index, (timestep, target) in enumerate(zip(timesteps, targets, strict=True)):
        output = run.model(latents, timestep, index).to(latents)
        latents, clean = ddim_step(run.schedule, output, latents, timestep, target)
        run.report(index, timestep, latents, clean)
    return latents


def ddim_step(
    schedule: "NoiseSchedule",
    output: "Tensor",  # the model's output, (b, ...)
    latents: "Tensor",  # same shape
    timestep: int,
    target: int,  # the timestep to go to; below 0 means clean latents
) -> tuple["Tensor", "Tensor"]:
    """Return the latents at the target timestep, and the model's estimate of the clean ones.

    No noise is added (eta = 0).
    """
    clean = schedule.to_clean(output, latents, timestep)
    if target < 0:
        return clean, clean
    noise = schedule.to_noise(output, latents, timestep)
    return schedule.add_noise(clean, noise, target), clean


def next_timesteps(schedule: "NoiseSchedule", steps: int) -> list[int]:
    """Return the timestep that each step of a DDIM run goes to; -1 means clean latents."""
    return [*schedule.timesteps(steps)[1:], -1]
