"""Animating pairs of character and motion whose truth is known, and telling how close it came."""

import math
import platform
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from torch import Tensor

from ..animate import Networks, Sampling
from ..diffusion.windows import plan_windows
from ..media.fitting import fit_picture
from ..pose.skeleton.fit import fit_pose
from ..types import DEFAULT_FPS
from .compared import Compared
from .measure import Measured, Measuring
from .metrics.metric import Case, Instruments, OfSet
from .metrics.table import METRICS
from .pairs import Pair, generate, round_trip
from .protocol import Protocol

PACKAGES = ("torch", "torchvision", "torchmetrics", "numpy", "onnxruntime", "av")
RESULT = "result"
COPY = "copy of the reference"
CEILING = "autoencoder round trip"


def evaluate(
    models: Networks,
    sampling: Sampling,  # pair i takes the seed i more than this one's
    pairs: Iterable[Pair],
    instruments: Instruments | None = None,  # None: what needs no network of its own
    *,
    baselines: bool = True,  # also copy the reference, and only encode and decode the truth
    progress: Callable[[int], None] | None = None,  # called with the number of pairs done
) -> dict[str, Measured]:
    """Return the figures of the result, of copying the reference, and of the autoencoder.

    Pairs are animated and measured one at a time, and nothing of them is kept.
    """
    instruments = instruments or Instruments()
    measuring, fit = Measuring(instruments), partial(_at_compared_size, instruments)
    for index, pair in enumerate(pairs):
        case = case_of(pair, sampling, instruments)
        seeded = replace(sampling, seed=sampling.seed + index)
        measuring.add(RESULT, generate(models, pair, seeded, fit), case)
        if baselines:
            measuring.add(COPY, fit(pair.reference).expand_as(case.truth), case)
            measuring.add(CEILING, round_trip(models, pair.truth, fit), case)
        if progress is not None:
            progress(index + 1)
    return measuring.result()


def case_of(pair: Pair, sampling: Sampling, instruments: Instruments) -> Case:
    """Return what a result of this pair is compared with, at the instruments' size.

    Windows are those of the first step; with `shift` they move from step to step. What is known
    of the figure's place is left out where the size changes.
    """
    truth = _at_compared_size(instruments, pair.truth)
    same = truth.shape == pair.truth.shape
    skeletons = pair.skeletons
    if instruments.size is not None:
        skeletons = fit_pose(skeletons, instruments.size, instruments.fit, hide_cut=True)
    return Case(
        name=pair.name,
        truth=truth,
        fps=pair.fps or float(DEFAULT_FPS),
        skeletons=skeletons,
        windows=[window.frames for window in plan_windows(len(truth), sampling.windows)],
        background=pair.background if same else None,
        near=pair.near if same else None,
    )


def _at_compared_size(instruments: Instruments, frames: Tensor) -> Tensor:
    """Return frames, (f, 3, H, W), at the size at which the instruments compare clips."""
    size = instruments.size
    return frames if size is None else fit_picture(frames, size, instruments.fit)


@dataclass(frozen=True, kw_only=True)
class Report:
    """A whole evaluation: what was measured, how, and what came out."""

    protocol: Protocol
    rows: dict[str, Measured]
    changed: dict[str, tuple[Any, Any]]  # settings: the protocol's and what was used instead
    made: dict[str, Any]  # how the clips came about: models, sampling, seeds, folders, device
    absent: dict[str, str]  # figures of the protocol that were not measured, and why
    instruments: dict[str, str]  # files that were looked through
    compared: dict[str, Compared] = field(default_factory=dict)  # by clip; none of drawn ones

    def data(self) -> dict[str, Any]:
        """Return everything as JSON can hold it; figures that are no numbers become null."""
        rows = {
            way: {
                "mean": measured.mean,
                "standard_error": measured.standard_error,
                "clips_measured": measured.count,
                **_pieces(measured),
                "clips": measured.clips,
            }
            for way, measured in self.rows.items()
        }
        return _plain(
            {
                "protocol": self.protocol.data(),
                "changed": {
                    name: {"protocol": usual, "here": here}
                    for name, (usual, here) in self.changed.items()
                },
                "made": self.made,
                "compared": {name: clip.data() for name, clip in self.compared.items()},
                "instruments": self.instruments,
                "absent": self.absent,
                "versions": versions(),
                "figures": {name: METRICS[name].data() for name in self.protocol.metrics},
                "rows": rows,
            }
        )


def unmeasured(rows: dict[str, Measured], protocol: Protocol) -> dict[str, str]:
    """Return for each figure of a protocol that no clip allows why, but for lack of networks."""
    return {
        name: METRICS[name].condition
        for name in protocol.metrics
        if not any(name in measured.mean for measured in rows.values())
    }


def _pieces(measured: Measured) -> dict[str, int]:
    """Return over how many pieces of clips each figure of the whole set goes, as JSON names it."""
    sets = (name for name, metric in METRICS.items() if isinstance(metric.measure, OfSet))
    return {f"{name}_clips": measured.pieces.get(name, 0) for name in sets}


def versions() -> dict[str, str]:
    """Return what computed the figures."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def sampling_data(sampling: Sampling) -> dict[str, Any]:
    """Return how clips were sampled, but for their seeds."""
    return {name: value for name, value in asdict(sampling).items() if name != "seed"}


def _plain(value: object) -> Any:  # noqa: ANN401  (whatever JSON holds)
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
