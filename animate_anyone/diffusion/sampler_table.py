"""The samplers by name: the one place to add one.

Nothing here needs torch, so that the command line can list the samplers at once.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..errors import InputError
from .ddim import ddim

if TYPE_CHECKING:
    from torch import Tensor

    from .samplers import Run

# Typed by name only: importing these would bring torch.
Loop = Callable[["Run", "Tensor"], "Tensor"]
"""Called as loop(run, latents) with noise; returns the latents at the end of the run."""


@dataclass(frozen=True, kw_only=True)
class Sampler:
    """One way from noise to latents."""

    told: str  # what it is, in a few words for `--help`
    # Class of diffusers that makes its steps; one that takes `rescale_betas_zero_snr`, as the noise
    # schedules of the presets need it.
    scheduler: str
    options: Mapping[str, object] = field(default_factory=dict)  # of that class
    loop: Loop | None = None  # steps of our own, in place of those of the class


SAMPLERS: dict[str, Sampler] = {
    "ddim": Sampler(
        told="the paper's",
        scheduler="DDIMScheduler",
        options={"clip_sample": False},
        loop=ddim,
    ),
    "ddpm": Sampler(
        told="noise at every step, for many steps",
        scheduler="DDPMScheduler",
        options={"clip_sample": False},
    ),
    "euler": Sampler(told="ddim by another formula", scheduler="EulerDiscreteScheduler"),
    "dpmpp_2m": Sampler(
        told="second order, for few steps",
        scheduler="DPMSolverMultistepScheduler",
        options={"algorithm_type": "dpmsolver++"},
    ),
    "dpmpp_2m_sde": Sampler(
        told="the same with noise at every step",
        scheduler="DPMSolverMultistepScheduler",
        options={"algorithm_type": "sde-dpmsolver++"},
    ),
    "unipc": Sampler(
        told="predicts and corrects, for few steps", scheduler="UniPCMultistepScheduler"
    ),
}
USUAL_SAMPLER = "ddim"


def find_sampler(name: str) -> Sampler:
    """Return the sampler of this name; InputError with the list of all for an unknown one."""
    if name not in SAMPLERS:
        raise InputError(f"sampler got {name!r}; choose one of {', '.join(SAMPLERS)}.")
    return SAMPLERS[name]
