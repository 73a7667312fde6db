"""Animate pairs of character and motion whose truth is known, measure the results, report them."""

import math
import platform
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from torch import Tensor

from ..animate import Networks, Sampling
from ..diffusion.windows import plan_windows
from ..pose.skeleton.fit import fit_pose
from ..types import DEFAULT_FPS
from .compared import Compared
from .instruments import at_compared_size
from .kept.clips import KeepClip
from .kept.row import ClipRow
from .measure import RESULT, Measured, gathered, measure_clip
from .metrics.metric import Case, Instruments, OfSet
from .metrics.table import METRICS, Row
from .pairs import Pair, generate, round_trip
from .protocol import Protocol

PACKAGES = ("torch", "torchvision", "torchmetrics", "numpy", "onnxruntime", "av")
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

    Each group of pairs has its own rows. Pairs are animated and measured one at a time; their
    frames are not kept.
    """
    instruments, rows = instruments or Instruments(), []
    for place, pair in enumerate(pairs):
        rows.append(
            measure_pair(models, pair, sampling, instruments, place=place, baselines=baselines)
        )
        if progress is not None:
            progress(place + 1)
    return gathered(rows, instruments.weighted)


def measure_pair(
    models: Networks,
    pair: Pair,
    sampling: Sampling,
    instruments: Instruments,
    *,
    place: int,  # of the pair in the whole test; the noise has the sampling's seed + place
    baselines: bool = True,  # also measure a copy of the reference, and the decoded truth
    keep: KeepClip | None = None,  # opens the writer of a generated clip by its name
) -> ClipRow:
    """Animate and measure one pair; the row depends on nothing but the arguments.

    A pair with further pictures of its character is animated a second time, from all of them.
    """
    case, fit = case_of(pair, sampling, instruments), partial(at_compared_size, rule=instruments)
    seeded, started = replace(sampling, seed=sampling.seed + place), time.monotonic()
    kept: list[str] = []

    def made(further: bool, title: str) -> Tensor:
        if keep is None:
            return generate(models, pair, seeded, fit, further=further)
        with keep(title, case.fps) as writer:
            kept.append(writer.name)
            return generate(models, pair, seeded, writer.through(fit), further=further)

    def ways() -> Iterator[tuple[str, Tensor]]:
        yield row_of(RESULT, pair), made(False, pair.name)
        if pair.further:
            more = f", {1 + len(pair.further)} references"
            yield row_of(RESULT, pair) + more, made(True, pair.name + more)
        if baselines:
            yield row_of(COPY, pair), fit(pair.reference[:1]).expand_as(case.truth)
            yield row_of(CEILING, pair), round_trip(models, pair.truth, fit)

    row = measure_clip(ways(), case, instruments, place)
    return replace(row, seconds=time.monotonic() - started, kept=tuple(kept))


def row_of(way: str, pair: Pair) -> str:
    """Return the row of the table for a way of making clips: one for each group of pairs."""
    return f"{way}: {pair.group}" if pair.group else way


def case_of(pair: Pair, sampling: Sampling, instruments: Instruments) -> Case:
    """Return the case with which a result of this pair is compared, at the instruments' size.

    Windows are those of the first step; with `shift` they move from step to step. Background and
    the figure's mask are left out if the size changes.
    """
    truth = at_compared_size(pair.truth, instruments)
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

    def data(
        self,
        *,
        lazily: bool = False,  # the figures of clips are mappings that make each when it is asked
    ) -> dict[str, Any]:
        """Return everything as values for JSON; figures that are not finite become null."""
        clips = _PlainRows if lazily else dict
        rows = {
            way: {
                "mean": measured.mean,
                "standard_error": measured.standard_error,
                "clips_measured": measured.count,
                **_pieces(measured),
                "clips": clips(measured.clips),
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


def report_of(
    kept: Mapping[str, Any],  # the report's part of `kept.folder.Settings`
    rows: Sequence[ClipRow],  # of all clips of the test, in order
) -> Report:
    """Return the report of a test from what was kept of it."""
    protocol = Protocol.from_data(kept["protocol"])
    found = gathered(rows, protocol.weighted)
    return Report(
        protocol=protocol,
        rows=found,
        changed={name: (usual, here) for name, (usual, here) in kept["changed"].items()},
        made=kept["made"],
        absent=unmeasured(found, protocol) | kept["absent"],
        instruments=kept["instruments"],
        compared={name: Compared.restored(clip) for name, clip in kept["compared"].items()},
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


class _PlainRows(Mapping[str, Row]):
    """The figures of clips as values for JSON, each made when it is asked for."""

    def __init__(self, rows: Mapping[str, Row]) -> None:
        self._rows = rows

    def __getitem__(self, name: str) -> Row:
        return _plain(self._rows[name])

    def items(self) -> Any:  # noqa: ANN401  (an iterable, which a view of items is too)
        """Yield names and figures in order."""
        return ((name, _plain(row)) for name, row in self._rows.items())

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)


def _plain(value: object) -> Any:  # noqa: ANN401  (whatever JSON holds)
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
