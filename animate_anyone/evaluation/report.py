"""Animate pairs of character and motion whose truth is known, measure the results, report them."""

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
    sampling: Sampling,  # pair i uses its seed + i
    pairs: Iterable[Pair],
    instruments: Instruments | None = None,  # None: only metrics that need no network
    *,
    baselines: bool = True,  # also measure a copy of the reference, and the decoded truth
    progress: Callable[[int], None] | None = None,  # called with the number of pairs done
) -> dict[str, Measured]:
    """Return the figures of the result, of copying the reference, and of the autoencoder.

    Each group of pairs has its own rows. A pair with further pictures of its character is animated
    a second time, from all of them. Pairs are animated and measured one at a time; their frames are
    not kept.
    """
    instruments = instruments or Instruments()
    measuring, fit = Measuring(instruments), partial(_at_compared_size, instruments)
    for index, pair in enumerate(pairs):
        case = case_of(pair, sampling, instruments)
        seeded = replace(sampling, seed=sampling.seed + index)
        measuring.add(row_of(RESULT, pair), generate(models, pair, seeded, fit), case)
        if pair.further:
            way = f"{row_of(RESULT, pair)}, {1 + len(pair.further)} references"
            measuring.add(way, generate(models, pair, seeded, fit, further=True), case)
        if baselines:
            measuring.add(row_of(COPY, pair), fit(pair.reference[:1]).expand_as(case.truth), case)
            measuring.add(row_of(CEILING, pair), round_trip(models, pair.truth, fit), case)
        if progress is not None:
            progress(index + 1)
    return measuring.result()


def row_of(way: str, pair: Pair) -> str:
    """Return the row of the table for a way of making clips: one for each group of pairs."""
    return f"{way}: {pair.group}" if pair.group else way


def case_of(pair: Pair, sampling: Sampling, instruments: Instruments) -> Case:
    """Return the case with which a result of this pair is compared, at the instruments' size.

    Windows are those of the first step; with `shift` they move from step to step. Background and
    the figure's mask are left out if the size changes.
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
    """A whole evaluation: its protocol, settings and figures."""

    protocol: Protocol
    rows: dict[str, Measured]
    changed: dict[str, tuple[Any, Any]]  # by setting: the protocol's value, and the one used
    made: dict[str, Any]  # how the clips were made: models, sampling, seeds, folders, device
    absent: dict[str, str]  # metrics of the protocol that were not measured, and why
    instruments: dict[str, str]  # the network files that were used
    compared: dict[str, Compared] = field(default_factory=dict)  # by clip; empty for drawn ones

    def data(self) -> dict[str, Any]:
        """Return everything as values for JSON; figures that are not finite become null."""
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
    """Return the metrics of a protocol that no clip has, each with its condition on clips."""
    return {
        name: METRICS[name].condition
        for name in protocol.metrics
        if not any(name in measured.mean for measured in rows.values())
    }


def _pieces(measured: Measured) -> dict[str, int]:
    """Return the number of pieces of clips for each set metric, under its name in JSON."""
    sets = (name for name, metric in METRICS.items() if isinstance(metric.measure, OfSet))
    return {f"{name}_clips": measured.pieces.get(name, 0) for name in sets}


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that compute the figures."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def sampling_data(sampling: Sampling) -> dict[str, Any]:
    """Return the sampling settings without the seed."""
    return {name: value for name, value in asdict(sampling).items() if name != "seed"}


def _plain(value: object) -> Any:  # noqa: ANN401  (whatever JSON holds)
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
