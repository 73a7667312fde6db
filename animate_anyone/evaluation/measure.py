"""From clips to figures: what is measured of one clip, and what is gathered over many."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from ..pose.skeleton.stack import SLICES, stack
from ..protocols import Progress
from ..types import PoseClip
from .instruments import Instruments
from .metrics import frames as of_frames
from .metrics.frames import intersection_over_union, psnr_inside, same_clip, silhouette
from .metrics.lpips import lpips
from .metrics.poses import oks, pck, pose_error
from .metrics.table import METRICS, Row
from .metrics.video import (
    allows_seam_drift,
    clip_features,
    cut_clips,
    flicker,
    frechet_distance,
    seam_drift,
)

AT_ONCE = 16  # frames that frame metrics see together: bounds their memory


@dataclass(frozen=True, kw_only=True)
class Case:
    """A true clip and what is known of it, at the size at which it is compared."""

    name: str
    truth: Tensor  # (f, 3, H, W), 0..1
    fps: float
    skeletons: PoseClip | None = None  # None, or nobody in them: poses are not measured
    windows: Sequence[Sequence[int]] = ()  # with which the result was sampled, if known
    background: Tensor | None = None  # (3, H, W), 0..1: the truth without the figure, if known
    near: Tensor | None = None  # (f, H, W), bool: the figure and a few pixels around it


def measure(
    result: Tensor,  # (f, 3, H, W), 0..1
    case: Case,
    instruments: Instruments,
    progress: Progress | None = None,  # in frames, each counted again where its poses are read
) -> Row:
    """Return every figure of one clip that the instruments and what is known allow.

    Figures of frames are means over the clip. Flicker needs two frames, seam drift two windows
    and a truth that moves both at their borders and inside; a clip without has no such figure.
    """
    result, truth = same_clip(result, case.truth)
    pose, skeletons = instruments.pose, case.skeletons
    reads = pose is not None and skeletons is not None and _shows(skeletons)
    total = len(result) * (2 if reads else 1)

    def tell(done: int) -> None:
        if progress is not None:
            progress(done, total)

    row = _frame_figures(result, truth, instruments, tell)
    if case.background is not None:
        shown, true = (silhouette(clip, case.background) for clip in (result, truth))
        row["iou"] = float(intersection_over_union(shown, true).mean())
    if case.near is not None:
        row["figure_psnr"] = float(psnr_inside(result, truth, case.near).mean())
    if len(result) > 1:
        row["flicker"] = flicker(result, truth)
    if len(case.windows) > 1 and allows_seam_drift(truth, case.windows):
        row["seam_drift"] = seam_drift(result, case.windows, truth)
    if pose is not None and skeletons is not None and reads:
        found = pose.read_pixels(result, lambda done: tell(len(result) + done))
        row["pck"] = pck(found, skeletons, instruments.pck_threshold)
        row["oks"] = oks(found, skeletons)
        row["pose_error"] = pose_error(found, skeletons)
    return {name: row[name] for name in instruments.metrics if name in row}


@torch.no_grad()
def _frame_figures(
    result: Tensor,
    truth: Tensor,
    instruments: Instruments,
    tell: Callable[[int], None],  # called with the number of frames done
) -> Row:
    figures = {name: getattr(of_frames, name) for name in ("psnr", "ssim", "psnr_uint8_legacy")}
    if instruments.lpips is not None:
        network = instruments.lpips
        figures["lpips"] = lambda ours, true: lpips(ours, true, network)
    values: dict[str, list[Tensor]] = {name: [] for name in figures}
    done = 0
    for ours, true in zip(result.split(AT_ONCE), truth.split(AT_ONCE), strict=True):
        for name, figure in figures.items():
            values[name].append(figure(ours, true))
        done += len(ours)
        tell(done)
    return {name: float(torch.cat(parts).mean()) for name, parts in values.items()}


def _shows(skeletons: PoseClip) -> bool:
    """Whether some frame has enough of a body to be compared."""
    seen = stack(skeletons).seen[:, :, SLICES["body"]]
    return bool((seen.sum(-1) > 2).any())


@dataclass(frozen=True)
class Measured:
    """One way of making clips: the figures of every clip, and those of the whole set."""

    clips: dict[str, Row]  # by the clip's name
    of_set: Row = field(default_factory=dict)  # FVD
    fvd_clips: int = 0  # pieces of clips that it goes over; it falls with their number

    @property
    def mean(self) -> Row:
        """Return the mean of every figure over the clips that have it, and those of the set."""
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
        """Return over how many clips each mean goes."""
        return {name: len(values) for name, values in self._columns()}

    def _columns(self) -> Iterable[tuple[str, list[float]]]:
        for name in METRICS:
            values = [row[name] for row in self.clips.values() if name in row]
            if values:
                yield name, values


class Measuring:
    """Gathers several ways over clips, one clip at a time; of FVD only features are kept."""

    def __init__(self, instruments: Instruments) -> None:
        """Begin without clips."""
        self.instruments = instruments
        self._clips: dict[str, dict[str, Row]] = {}
        self._features: dict[str, list[np.ndarray]] = {}
        self._true: dict[str, np.ndarray] = {}

    def add(
        self,
        way: str,  # who made it: a row of the table
        result: Tensor,  # (f, 3, H, W), 0..1
        case: Case,
    ) -> None:
        """Measure a clip."""
        self._clips.setdefault(way, {})[case.name] = measure(result, case, self.instruments)
        if self.instruments.fvd is not None:
            if case.name not in self._true:
                self._true[case.name] = self._seen(case.truth, case.fps)
            self._features.setdefault(way, []).append(self._seen(result, case.fps))

    def result(self) -> dict[str, Measured]:
        """Return what was gathered; InputError if there are too few clips for FVD."""
        true = list(self._true.values())
        pieces = sum(map(len, true))
        return {
            way: Measured(clips, self._of_set(self._features.get(way, []), true), pieces)
            for way, clips in self._clips.items()
        }

    def _seen(self, video: Tensor, fps: float) -> np.ndarray:
        assert self.instruments.fvd is not None
        protocol, network = self.instruments.fvd
        return clip_features(cut_clips(video, fps, protocol), network)

    @staticmethod
    def _of_set(features: list[np.ndarray], true: list[np.ndarray]) -> Row:
        if not features:
            return {}
        return {"fvd": frechet_distance(np.concatenate(features), np.concatenate(true))}
