"""Paired differences of two rows of a table: the same characters, several seeds of training."""

from dataclasses import dataclass
from inspect import signature
from typing import Any

import numpy as np

CONFIDENCE = 0.95
RESAMPLES = 9999


@dataclass(frozen=True, kw_only=True)
class Difference:
    """How much the figures of one row are above those of another.

    The interval is of the mean over characters and seeds, by a bootstrap over characters.
    """

    mean: float
    error: float  # standard error of the mean, over characters
    low: float  # ends of the interval of `CONFIDENCE`
    high: float
    by_seed: tuple[float, ...]  # mean over characters, for each seed
    seeds: tuple[tuple[float, float], ...]  # the interval of each of these

    @property
    def sign(self) -> int:
        """Return 1 or -1 if the difference lies beyond the error, else 0.

        It does if the interval of every single seed lies on one side of zero, so a difference that
        one training shows and another does not is none. One seed alone says nothing of training.
        """
        if len(self.seeds) < 2:
            return 0
        if all(low > 0 for low, _ in self.seeds):
            return 1
        return -1 if all(high < 0 for _, high in self.seeds) else 0


def paired_difference(
    one: np.ndarray,  # (seeds, characters): figures of a row; two characters or more
    other: np.ndarray,  # the same of another row, in the same order
) -> Difference:
    """Return the differences of two rows."""
    apart = one - other
    means = apart.mean(0)
    low, high = interval(means)
    return Difference(
        mean=float(means.mean()),
        error=float(means.std(ddof=1) / len(means) ** 0.5),
        low=low,
        high=high,
        by_seed=tuple(apart.mean(1).tolist()),
        seeds=tuple(interval(row) for row in apart),
    )


def interval(
    values: np.ndarray,  # (n,), two or more
) -> tuple[float, float]:
    """Return the interval of the mean by the bootstrap, corrected for bias and skew (BCa)."""
    from scipy.stats import bootstrap  # takes a while to import

    if np.ptp(values) == 0:  # nothing to resample
        return float(values[0]), float(values[0])
    name = "rng" if "rng" in signature(bootstrap).parameters else "random_state"  # before 1.15
    seeded: dict[str, Any] = {name: np.random.default_rng(0)}
    for method in ("BCa", "percentile"):  # of very few values the correction may not be defined
        found = bootstrap(
            (values,),
            np.mean,
            n_resamples=RESAMPLES,
            confidence_level=CONFIDENCE,
            method=method,
            **seeded,
        ).confidence_interval
        if np.isfinite([found.low, found.high]).all():
            break
    return float(found.low), float(found.high)
