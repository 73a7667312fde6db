"""Measure clips: the figures of one clip, and the statistics over many."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from ..pose.skeleton.stack import SLICES, stack
from ..protocols import Progress
from ..types import PoseClip
from .instruments import measured
from .metrics.frames import same_clip
from .metrics.metric import KNOWN, Case, Instruments, Look, Metric, OfClip, OfFrames, OfSet
from .metrics.table import METRICS, Row

AT_ONCE = 16  # frames per call of a frame metric, at most; limits its memory
PIXELS_AT_ONCE = AT_ONCE * 256 * 256  # the same; more would keep a user who cancels waiting


def measure(
    result: Tensor,  # (f, 3, H, W), 0..1
    case: Case,
    instruments: Instruments,
    progress: Progress | None = None,  # in frames; if poses are read, each frame counts twice
) -> Row:
    """Return every figure of one clip that the instruments and the case allow."""
    result, truth = same_clip(result, case.truth)
    case = _usable(case)
    wanted = {name: m for name, m in measured(instruments).items() if _allows(case, m)}
    pose = instruments.pose if any("pose" in m.needs for m in wanted.values()) else None
    total = len(result) * (1 if pose is None else 2)

    def report(done: int) -> None:
        if progress is not None:
            progress(done, total)

    row = _frame_figures(result, truth, instruments, wanted, report)
    found = None
    if pose is not None:
        found = pose.read_pixels(result, lambda done: report(len(result) + done))
    look = Look(result, truth, case, instruments, found)
    for name, metric in wanted.items():
        if isinstance(metric.measure, OfClip):
            value = metric.measure.value(look)
            row |= {} if value is None else {name: value}
    return {name: row[name] for name in wanted if name in row}


def _usable(case: Case) -> Case:
    """Drop skeletons that show no person, and the windows if there is only one: it has no seam."""
    skeletons = case.skeletons
    return replace(
        case,
        skeletons=skeletons if skeletons is not None and _shows(skeletons) else None,
        windows=case.windows if len(case.windows) > 1 else (),
    )


def _allows(case: Case, metric: Metric) -> bool:
    """Return whether a case has everything that a metric needs."""
    values = (getattr(case, need) for need in metric.needs if need in KNOWN)
    return not any(value is None or len(value) == 0 for value in values)


@torch.no_grad()
def _frame_figures(
    result: Tensor,
    truth: Tensor,
    instruments: Instruments,
    wanted: Mapping[str, Metric],
    report: Callable[[int], None],  # called with the number of frames done
) -> Row:
    figures = {n: m.measure.values for n, m in wanted.items() if isinstance(m.measure, OfFrames)}
    values: dict[str, list[Tensor]] = {name: [] for name in figures}
    done = 0
    many = max(1, min(AT_ONCE, PIXELS_AT_ONCE // result[0, 0].numel()))
    for ours, true in zip(result.split(many), truth.split(many), strict=True):
        for name, figure in figures.items():
            values[name].append(figure(ours, true, instruments))
        done += len(ours)
        report(done)
    return {name: float(torch.cat(parts).mean()) for name, parts in values.items()}


def _shows(skeletons: PoseClip) -> bool:
    """Return whether some frame shows enough joints of a body to be compared."""
    seen = stack(skeletons).seen[:, :, SLICES["body"]]
    return bool((seen.sum(-1) > 2).any())


@dataclass(frozen=True)
class Measured:
    """The figures of one row of the table: those of every clip, and those of the whole set."""

    clips: dict[str, Row]  # by the clip's name
    of_set: Row = field(default_factory=dict)  # metrics of the whole set, such as FVD
    pieces: Mapping[str, int] = field(default_factory=dict)  # pieces of clips, by set metric

    @property
    def mean(self) -> Row:
        """Return the mean of every figure over the clips that have it, and the set's figures."""
        return {name: float(np.mean(values)) for name, values in self._columns()} | self.of_set

    @property
    def standard_error(self) -> Row:
        """Return the standard error of each mean over clips; none for a single clip."""
        return {
            name: float(np.std(values, ddof=1) / math.sqrt(len(values)))
            for name, values in self._columns()
            if len(values) > 1 and np.isfinite(values).all()
        }

    @property
    def count(self) -> dict[str, int]:
        """Return the number of clips in each mean."""
        return {name: len(values) for name, values in self._columns()}

    def _columns(self) -> Iterable[tuple[str, list[float]]]:
        for name in METRICS:
            values = [row[name] for row in self.clips.values() if name in row]
            if values:
                yield name, values


class Measuring:
    """Measures clips one at a time, for several rows; for set metrics it keeps only features."""

    def __init__(self, instruments: Instruments) -> None:
        """Start without clips."""
        self.instruments = instruments
        wanted = measured(instruments)
        self._sets = {n: m.measure for n, m in wanted.items() if isinstance(m.measure, OfSet)}
        self._clips: dict[str, dict[str, Row]] = {}
        # By metric: features of the results by row, and of the true clips by name.
        self._features: dict[str, dict[str, list[np.ndarray]]] = {name: {} for name in self._sets}
        self._true: dict[str, dict[str, np.ndarray]] = {name: {} for name in self._sets}

    def add(
        self,
        way: str,  # how the clip was made: a row of the table
        result: Tensor,  # (f, 3, H, W), 0..1
        case: Case,
    ) -> None:
        """Measure a clip."""
        self._clips.setdefault(way, {})[case.name] = measure(result, case, self.instruments)
        for name, of_set in self._sets.items():
            true = self._true[name]
            if case.name not in true:
                true[case.name] = of_set.features(case.truth, case.fps, self.instruments)
            features = of_set.features(result, case.fps, self.instruments)
            self._features[name].setdefault(way, []).append(features)

    def result(self) -> dict[str, Measured]:
        """Return the figures by row; InputError if there are too few clips for a set metric."""
        return {
            way: Measured(clips, self._of_set(way), self._pieces(way))
            for way, clips in self._clips.items()
        }

    def _pieces(self, way: str) -> dict[str, int]:
        names = self._clips[way]
        return {
            metric: sum(len(true[name]) for name in names) for metric, true in self._true.items()
        }

    def _of_set(self, way: str) -> Row:
        return {
            name: of_set.value(
                np.concatenate(self._features[name][way]),
                np.concatenate([self._true[name][clip] for clip in self._clips[way]]),
            )
            for name, of_set in self._sets.items()
        }
