"""DDIM in our own words: deterministic, and to the next timestep of the run's own list."""

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
    return walk(run, latents, following_timesteps(run.schedule, run.steps))


def walk(
    run: "Run",
    latents: "Tensor",  # (b, c, f, h, w), noise
    following: Sequence[int],  # where each step goes; below 0 is the clean end
) -> "Tensor":  # (b, c, f, h, w)
    """Return the latents at the end of a run whose steps go to these timesteps."""
    timesteps = run.schedule.timesteps(run.steps)
    for index, (timestep, goal) in enumerate(zip(timesteps, following, strict=True)):
        output = run.model(latents, timestep, index).to(latents)
        latents, clean = ddim_step(run.schedule, output, latents, timestep, goal)
        run.report(index, timestep, latents, clean)
    return latents


def ddim_step(
    schedule: "NoiseSchedule",
    output: "Tensor",  # what the model said, (b, ...)
    latents: "Tensor",  # same shape
    timestep: int,
    following: int,  # the timestep to go to; below 0 is the clean end
) -> tuple["Tensor", "Tensor"]:
    """Return latents at the following timestep, and the clean latents they lead to (eta = 0)."""
    clean = schedule.to_clean(output, latents, timestep)
    if following < 0:
        return clean, clean
    noise = schedule.to_noise(output, latents, timestep)
    return schedule.add_noise(clean, noise, following), clean


def following_timesteps(schedule: "NoiseSchedule", steps: int) -> list[int]:
    """Return where each step of a DDIM run goes; below 0 is the clean end."""
    return [*schedule.timesteps(steps)[1:], -1]
