"""Classifier-free guidance, and the steps of a run that are guided."""

import math
from dataclasses import dataclass

from torch import Tensor

from ..errors import ConfigError


def guide(
    unconditional: Tensor,
    conditional: Tensor,  # same shape
    scale: float,  # 1: the conditional prediction alone; higher: follow the picture more closely
) -> Tensor:
    """Return the guided prediction: unconditional + scale * (conditional - unconditional)."""
    if scale == 1:
        return conditional
    return unconditional + scale * (conditional - unconditional)


@dataclass(frozen=True, kw_only=True)
class GuidanceInterval:
    """The guided part of a sampling run, in shares of its steps.

    At the other steps the conditional prediction is used as it is, and the unconditional one is
    not computed (Kynkaanniemi et al. 2024). The whole run is guided by default.
    """

    start: float = 0.0  # 0..1; 0 is the first step, from pure noise
    end: float = 1.0  # 0..1, not included

    def __post_init__(self) -> None:
        """Raise ConfigError for an interval that is empty, reversed or outside of the run."""
        if not 0 <= self.start < self.end <= 1:
            raise ConfigError(
                f"guidance interval got from {self.start:g} until {self.end:g}; both are shares "
                "of the run between 0 and 1, and from is less than until. Choose 0 for "
                "guidance_from and 1 for guidance_until to guide all steps, or cfg 1 to guide none."
            )

    @property
    def whole(self) -> bool:
        """Return whether all steps are guided."""
        return self.start == 0 and self.end == 1

    def steps(
        self,
        total: int,  # steps of the run
    ) -> range:
        """Return the numbers of the guided steps; ConfigError if a run's interval has none."""
        found = steps_inside(self.start, self.end, total)
        if not found and total:
            raise ConfigError(
                f"guidance interval got from {self.start:g} until {self.end:g}; with {total} steps "
                "it has none of them. Choose a longer interval with guidance_from and "
                f"guidance_until: a step is {1 / total:.3g} of the run."
            )
        return found


def steps_inside(
    start: float,  # 0..1
    end: float,  # 0..1, not included
    total: int,  # steps of the run
) -> range:
    """Return the numbers of the steps in a part of a run, which may be none."""
    return range(_rounded(start * total), _rounded(end * total))


def _rounded(value: float) -> int:
    return math.floor(value + 0.5)
