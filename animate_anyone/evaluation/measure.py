"""Measure clips: the figures of one clip, and the statistics over many."""

import time
from array import array
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from ..names.texts import Texts
from ..pose.skeleton.stack import SLICES, stack
from ..protocols import Look as LookForCancel
from ..protocols import Progress
from ..types import PoseClip
from .instruments import measured
from .kept.columns import Columns
from .kept.row import TRUTH, ClipRow, Feature
from .metrics.frames import same_clip
from .metrics.frechet import Pieces
from .metrics.metric import (
    KNOWN,
    Case,
    Instruments,
    Look,
    Metric,
    OfClip,
    OfFrames,
    OfSet,
    Weighted,
)
from .metrics.table import METRICS, Row

RESULT = "result"  # the way that is tested; others are compared with it
AT_ONCE = 16  # frames per call of a frame metric, at most; limits its memory
PIXELS_AT_ONCE = AT_ONCE * 256 * 256  # the same; more would keep a user who cancels waiting


def measure(
    result: Tensor,  # (f, 3, H, W), 0..1
    case: Case,
    instruments: Instruments,
    progress: Progress | None = None,  # in frames; if poses are read, each frame counts twice
    may_stop: LookForCancel | None = None,  # called before each figure of a few frames; may raise
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

    row = _frame_figures(result, truth, instruments, wanted, report, may_stop or (lambda: None))
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
    may_stop: LookForCancel,
) -> Row:
    figures = {n: m.measure.values for n, m in wanted.items() if isinstance(m.measure, OfFrames)}
    values: dict[str, list[Tensor]] = {name: [] for name in figures}
    done = 0
    many = max(1, min(AT_ONCE, PIXELS_AT_ONCE // result[0, 0].numel()))
    for ours, true in zip(result.split(many), truth.split(many), strict=True):
        for name, figure in figures.items():
            may_stop()
            values[name].append(figure(ours, true, instruments))
        done += len(ours)
        report(done)
    return {name: float(torch.cat(parts).mean()) for name, parts in values.items()}


def _shows(skeletons: PoseClip) -> bool:
    """Return whether some frame shows enough joints of a body to be compared."""
    seen = stack(skeletons).seen[:, :, SLICES["body"]]
    return bool((seen.sum(-1) > 2).any())


def measure_clip(
    ways: Iterable[tuple[str, Tensor]],  # how a clip was made, and its frames, (f, 3, H, W) in 0..1
    case: Case,
    instruments: Instruments,
    place: int = 0,  # of the clip in the whole test
) -> ClipRow:
    """Return all figures of a clip, and its features for metrics of whole sets.

    `ways` may be a generator: the frames of one way are dropped before the next is made.
    """
    started = time.monotonic()
    sets = {n: m.measure for n, m in measured(instruments).items() if isinstance(m.measure, OfSet)}
    figures: dict[str, Row] = {}
    features: dict[Feature, np.ndarray] = {}
    for way, result in ways:
        figures[way] = measure(result, case, instruments)
        for name, of_set in sets.items():
            if (name, TRUTH) not in features:
                features[name, TRUTH] = of_set.features(case.truth, case.fps, instruments)
            features[name, way] = of_set.features(result, case.fps, instruments)
    return ClipRow(
        place=place,
        name=case.name,
        frames=len(case.truth),
        figures=figures,
        features=features,
        pieces={name: len(x) for (name, way), x in features.items() if way == TRUTH},
        seconds=time.monotonic() - started,
    )


@dataclass(frozen=True)
class Measured:
    """The figures of one row of the table: those of every clip, and those of the whole set."""

    clips: Mapping[str, Row]  # by the clip's name
    of_set: Row = field(default_factory=dict)  # metrics of the whole set, such as FVD
    pieces: Mapping[str, int] = field(default_factory=dict)  # pieces of clips, by set metric
    frames: Mapping[str, int] = field(default_factory=dict)  # by name; `Columns` have their own
    weighted: Weighted = "clips"  # "frames": in the mean of a figure of frames, frames count alike

    @property
    def mean(self) -> Row:
        """Return the mean of every figure over the clips that have it, and the set's figures."""
        means = {
            name: float(np.average(values, weights=weights))
            for name, values, weights in self._columns()
        }
        return means | self.of_set

    @property
    def standard_error(self) -> Row:
        """Return the standard error of each mean over clips; none for a single clip.

        Weighted by frames, the mean is a ratio of two sums, and this is the usual error of that.
        """
        errors: Row = {}
        for name, values, weights in self._columns():
            count = len(values)
            if count > 1 and np.isfinite(values).all():
                shares = np.divide(weights or np.ones(count), np.sum(weights or np.ones(count)))
                apart = shares * (np.asarray(values) - np.average(values, weights=weights))
                errors[name] = float(np.sqrt(np.square(apart).sum() * count / (count - 1)))
        return errors

    @property
    def count(self) -> dict[str, int]:
        """Return the number of clips in each mean."""
        return {name: len(values) for name, values, _ in self._columns()}

    def _columns(self) -> Iterable[tuple[str, Sequence[float], list[int] | None]]:
        """Yield the figures of each metric, and their weights if they count differently."""
        for name, metric in METRICS.items():
            frames, values = self._column(name)
            by_frames = self.weighted == "frames" and isinstance(metric.measure, OfFrames)
            if len(values):
                yield name, values, frames() if by_frames else None

    def _column(self, metric: str) -> tuple[Callable[[], list[int]], Sequence[float]]:
        """Return the figures of a metric, and what tells the frames of the clips that have them."""
        if isinstance(self.clips, Columns):
            clips, (places, values) = self.clips, self.clips.column(metric)
            return lambda: clips.frames(places), values
        having = [clip for clip, row in self.clips.items() if metric in row]
        values = [self.clips[clip][metric] for clip in having]
        return lambda: [self.frames[clip] for clip in having], values


def gathered(
    rows: Sequence[ClipRow],  # of all clips of a test, in its order; read one at a time
    weighted: Weighted = "clips",
) -> dict[str, Measured]:
    """Return the figures of a test by way; InputError if there are too few clips for a set metric.

    The same rows give the same figures to the last bit, wherever they were measured. Of a clip its
    name, its number of frames and 12 bytes a figure are kept.
    """
    names, frames = Texts(), array("L")
    ways: dict[str, Columns] = {}
    pieces: dict[str, Counter[str]] = defaultdict(Counter)  # of each way, by set metric
    for place, row in enumerate(rows):
        names.append(row.name)
        frames.append(row.frames)
        for way, figures in row.figures.items():
            ways.setdefault(way, Columns(names, frames)).add(place, figures)
            pieces[way].update(row.pieces)
    return {
        way: Measured(clips, _of_set(way, rows, pieces[way]), pieces[way], weighted=weighted)
        for way, clips in ways.items()
    }


def _of_set(way: str, rows: Sequence[ClipRow], metrics: Iterable[str]) -> Row:
    of_set: Row = {}
    for name in metrics:
        metric = METRICS[name].measure
        assert isinstance(metric, OfSet)
        ours, true = (Pieces(_Each(rows, way, (name, of))) for of in (way, TRUTH))
        of_set[name] = metric.value(ours, true)
    return of_set


@dataclass(frozen=True)
class _Each:
    """The features of one metric and way, read clip by clip, for the clips made in a way."""

    rows: Sequence[ClipRow]
    way: str
    name: Feature

    def __iter__(self) -> Iterator[np.ndarray]:
        rows = (row for row in self.rows if self.way in row.figures)
        return (row.features[self.name] for row in rows if self.name in row.features)
