"""The samplers by name; a new sampler is added here.

This module does not import torch, so that the command line lists the samplers without delay.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..errors import InputError
from .ddim import ddim

if TYPE_CHECKING:
    from torch import Tensor

    from .samplers import Run

# The types are strings because importing them would import torch.
Loop = Callable[["Run", "Tensor"], "Tensor"]
"""Called as loop(run, noise); returns the latents at the end of the run."""


@dataclass(frozen=True, kw_only=True)
class Sampler:
    """One sampling method: how noise becomes latents."""

    summary: str  # a few words about it for `--help`
    # Class in diffusers that computes the steps. It must take `rescale_betas_zero_snr`, which the
    # noise schedules of the presets need.
    scheduler: str
    options: Mapping[str, object] = field(default_factory=dict)  # further arguments of that class
    loop: Loop | None = None  # our own loop, used instead of the class


SAMPLERS: dict[str, Sampler] = {
    "ddim": Sampler(
        summary="the paper's sampler",
        scheduler="DDIMScheduler",
        options={"clip_sample": False},
        loop=ddim,
    ),
    "ddpm": Sampler(
        summary="adds noise at every step, for many steps",
        scheduler="DDPMScheduler",
        options={"clip_sample": False},
    ),
    "euler": Sampler(summary="like ddim, with another formula", scheduler="EulerDiscreteScheduler"),
    "dpmpp_2m": Sampler(
        summary="second order, for few steps",
        scheduler="DPMSolverMultistepScheduler",
        options={"algorithm_type": "dpmsolver++"},
    ),
    "dpmpp_2m_sde": Sampler(
        summary="like dpmpp_2m, but adds noise at every step",
        scheduler="DPMSolverMultistepScheduler",
        options={"algorithm_type": "sde-dpmsolver++"},
    ),
    "unipc": Sampler(
        summary="predictor and corrector, for few steps", scheduler="UniPCMultistepScheduler"
    ),
}
USUAL_SAMPLER = "ddim"


def find_sampler(name: str) -> Sampler:
    """Return the sampler of this name; an unknown name raises InputError with the list of all."""
    if name not in SAMPLERS:
        raise InputError(f"sampler got {name!r}; choose one of {', '.join(SAMPLERS)}.")
    return SAMPLERS[name]
