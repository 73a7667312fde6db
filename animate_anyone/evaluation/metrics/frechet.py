"""The Frechet distance of two sets of features, from sums that are gathered clip by clip."""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from ...errors import InputError


class Pieces:
    """The features of many clips: iterating reads those of one clip after the other.

    As an array (`np.asarray`) they are all features together, (pieces of all clips, d).
    """

    def __init__(self, clips: Iterable[np.ndarray]) -> None:  # (pieces, d) each; read once or more
        """Name the features; a list keeps them, another iterable may read them when asked."""
        self._clips = clips

    def __iter__(self) -> Iterator[np.ndarray]:
        """Read the features of one clip after the other."""
        return iter(self._clips)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:  # noqa: ANN401
        """Return all features together; numpy's own name, by which its functions take pieces."""
        return np.concatenate(list(self._clips)).astype(dtype or np.float64)


class Spread:
    """Number, mean and scatter of features; its size does not depend on how many are added.

    Adding the same parts in the same order gives the same bits, whoever computed the parts.
    """

    def __init__(self) -> None:
        """Start without features."""
        self.count = 0
        self.mean: np.ndarray | None = None  # (d,)
        self._scatter: np.ndarray | None = None  # (d, d), the sum of products of deviations

    def add(self, features: np.ndarray) -> None:  # (n, d)
        """Add some features, as Chan et al. (1979) join two samples.

        InputError for features of another shape.
        """
        if features.ndim != 2 or (self.mean is not None and features.shape[1:] != self.mean.shape):
            raise InputError(
                f"features got shapes {features.shape} and {self.shape}; each must be (pieces, d) "
                "with the same d. Use one network for all."
            )
        if not len(features):
            return
        features = np.asarray(features, np.float64)
        mean = features.mean(0)
        centred = features - mean
        scatter = centred.T @ centred
        if self.mean is None or self._scatter is None:
            self.count, self.mean, self._scatter = len(features), mean, scatter
            return
        total = self.count + len(features)
        apart = mean - self.mean
        both = self.count * len(features) / total
        self._scatter = self._scatter + scatter + both * np.outer(apart, apart)
        self.mean = self.mean + apart * (len(features) / total)
        self.count = total

    @property
    def shape(self) -> tuple[int, ...]:
        """Return the shape of all added features together."""
        return (self.count,) if self.mean is None else (self.count, *self.mean.shape)

    @property
    def root(self) -> np.ndarray:  # (d, d)
        """Return R with R^T R the unbiased covariance, by its eigenvalues."""
        assert self._scatter is not None
        values, vectors = np.linalg.eigh(self._scatter / (self.count - 1))
        return np.sqrt(values.clip(0))[:, None] * vectors.T


def frechet_distance(
    first: np.ndarray | Pieces,  # (n, d), features of n pieces
    second: np.ndarray | Pieces,  # (m, d)
) -> float:
    """Return |mu1 - mu2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2)) of two sets of features, in float64.

    S1 and S2 are unbiased covariances. With S = R^T R, the eigenvalues of S1 S2 are those of the
    symmetric R1 S2 R1^T, which are the squared singular values of R1 R2^T; so the trace of the root
    is the sum of these singular values. This needs no matrix root and no complex numbers, and
    holds for fewer pieces than features too.
    """
    ours, true = (_spread(features) for features in (first, second))
    if (
        min(ours.count, true.count) < 2
        or ours.mean is None
        or true.mean is None
        or ours.mean.shape != true.mean.shape
    ):
        raise InputError(
            f"features got shapes {ours.shape} and {true.shape}; each must be (pieces, d) with "
            "the same d and 2 pieces or more. Give more or longer videos."
        )
    roots = [spread.root for spread in (ours, true)]
    cross = np.linalg.svd(roots[0] @ roots[1].T, compute_uv=False).sum()
    apart = np.square(ours.mean - true.mean).sum()
    return max(0.0, float(apart + sum(np.square(root).sum() for root in roots) - 2 * cross))


def _spread(features: np.ndarray | Pieces) -> Spread:
    spread = Spread()
    for part in features if isinstance(features, Pieces) else [features]:
        spread.add(part)
    return spread
