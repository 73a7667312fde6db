"""How much a condition counts, and in which part of a sampling run."""

import math
from dataclasses import dataclass

from ..errors import ConfigError
from .guidance import steps_inside


@dataclass(frozen=True, kw_only=True)
class Strength:
    """How much a condition counts in a part of the run; outside of it the condition is left out.

    The part is given in shares of the run's steps. The default counts in full in the whole run.
    """

    value: float = 1.0  # 0 or more; 1: as in training
    start: float = 0.0  # 0..1; 0 is the first step, from pure noise
    end: float = 1.0  # 0..1, not included
    of: str = "strength"  # of the condition, for error texts: "pose" or "reference"

    def __post_init__(self) -> None:
        """Raise ConfigError for a strength below 0 and for an empty or reversed part."""
        if not (math.isfinite(self.value) and self.value >= 0):
            raise ConfigError(
                f"{self.of} strength got {self.value:g}; it must be a finite number of 0 or more. "
                "1 is the usual strength, 0 leaves the condition out."
            )
        if not 0 <= self.start < self.end <= 1:
            raise ConfigError(
                f"{self.of} interval got from {self.start:g} until {self.end:g}; both are shares "
                "of the run between 0 and 1, and from is less than until. Choose 0 for "
                f"{self.of}_from and 1 for {self.of}_until for all steps."
            )

    @property
    def usual(self) -> bool:
        """Return whether the condition counts in full at all steps."""
        return (self.value, self.start, self.end) == (1, 0, 1)

    def check(
        self,
        total: int,  # steps of the run
    ) -> None:
        """Raise ConfigError if the part holds none of the steps."""
        if not steps_inside(self.start, self.end, total):
            raise ConfigError(
                f"{self.of} interval got from {self.start:g} until {self.end:g}; with {total} "
                f"steps it has none of them. Choose a longer interval with {self.of}_from and "
                f"{self.of}_until: a step is {1 / total:.3g} of the run."
            )

    def at(
        self,
        step: int,
        total: int,  # steps of the run
    ) -> float:
        """Return the strength at a step: the value in the part, else 0."""
        return self.value if step in steps_inside(self.start, self.end, total) else 0.0
