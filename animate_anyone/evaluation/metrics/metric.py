"""The record of a metric, and its inputs: a result, its case and the instruments."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from torch import Tensor
from torch.jit import ScriptModule

from ...errors import ConfigError
from ...fitting import Fit
from ...types import PoseClip, Size
from .frames import Ssim
from .frechet import Pieces
from .lpips import LpipsNetwork
from .video import FvdProtocol

INSTRUMENTS = ("lpips", "fvd", "pose")  # fields of Instruments that a metric may need
Weighted = Literal["clips", "frames"]
Resize = Literal["bicubic", "pil 8 bit"]  # the second also rounds frames that have the size
KNOWN = ("skeletons", "windows", "background", "near")  # fields of Case that a metric may need


class ReadsPoses(Protocol):
    """Reads skeletons from frames."""

    name: str  # for reports

    def read_pixels(
        self,
        frames: Tensor,  # (f, 3, H, W), 0..1
        progress: Callable[[int], None] | None = None,  # gets the frames done; may raise to stop
    ) -> PoseClip:
        """Return the skeletons of at most one person, on a canvas of the frames' size."""
        ...


@dataclass(frozen=True, kw_only=True)
class Case:
    """A true clip and the known facts about it, at the size at which it is compared."""

    name: str
    truth: Tensor  # (f, 3, H, W), 0..1
    fps: float
    skeletons: PoseClip | None = None  # None, or no person in them: poses are not measured
    windows: Sequence[Sequence[int]] = ()  # of the sampling that made the result, if known
    background: Tensor | None = None  # (3, H, W), 0..1: the truth without the figure, if known
    near: Tensor | None = None  # (f, H, W), bool: the figure and a few pixels around it


@dataclass(frozen=True, kw_only=True)
class Instruments:
    """The networks of the metrics, and how frames are compared; None: not available."""

    metrics: tuple[str, ...] | None = None  # the metrics to measure, in this order; None: all
    pose: ReadsPoses | None = None
    lpips: LpipsNetwork | None = None
    fvd: tuple[FvdProtocol, ScriptModule] | None = None
    pck_threshold: float = 0.1  # torso lengths
    ssim: Ssim = "gaussian"
    weighted: Weighted = "clips"  # what counts the same in the mean of a figure of frames
    size: Size | None = None  # at which clips are compared; None: their own size
    fit: Fit = "pad"  # how clips of another shape are fitted to it
    resize: Resize = "bicubic"  # how they are resized


@dataclass(frozen=True)
class Look:
    """The input of a metric of a clip; fields that the metric does not need may be None."""

    result: Tensor  # (f, 3, H, W), float32 or better, 0..1
    truth: Tensor  # the same of the true clip
    case: Case
    instruments: Instruments
    found: PoseClip | None  # the skeletons of the result, if the metric needs `pose`

    @property
    def poses(self) -> tuple[PoseClip, PoseClip]:
        """Return the skeletons found in the result, and the driving ones."""
        assert self.found is not None
        assert self.case.skeletons is not None
        return self.found, self.case.skeletons


@dataclass(frozen=True)
class OfFrames:
    """A metric of single frames; its figure is the mean over the clip."""

    # Takes some frames of the result and of the truth, (f, 3, H, W) in 0..1; returns (f,).
    values: Callable[[Tensor, Tensor, Instruments], Tensor]


@dataclass(frozen=True)
class OfClip:
    """A metric of a whole clip."""

    value: Callable[[Look], float | None]  # returns None if the clip has no such figure


Lengths = Iterable[tuple[str, int, float]]  # of every clip: name, frames, frames per second


@dataclass(frozen=True)
class OfSet:
    """A metric that compares a whole set of clips with the set of true ones.

    Only the features of each clip are kept: (pieces, d), a row for each piece that it is cut into.
    `value` gets those of all clips, in the order of the test: it may read them one clip at a time,
    or use them as one array.
    """

    features: Callable[[Tensor, float, Instruments], np.ndarray]  # of a clip and its fps
    value: Callable[[Pieces, Pieces], float]  # of all features: the results', the truths'
    # Raises InputError, before anything is computed, for a set that is too small.
    check: Callable[[Instruments, Lengths], None]


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One metric: a column of the tables, and how it is computed."""

    title: str  # of the column
    digits: int  # after the decimal point
    better: Literal["higher", "lower", "nearer 1"]
    measure: OfFrames | OfClip | OfSet
    unit: str = ""  # "dB"; empty for shares and numbers without a unit
    needs: tuple[str, ...] = ()  # of INSTRUMENTS and KNOWN; the truth is always available
    condition: str = ""  # on clips; shown if no clip has the figure
    legacy: bool = False  # only for comparison with tables of others

    def __post_init__(self) -> None:
        """Raise ConfigError for an unknown name in `needs`."""
        for need in self.needs:
            if need not in (*INSTRUMENTS, *KNOWN):
                raise ConfigError(
                    f"needs got {need!r}; known are {', '.join((*INSTRUMENTS, *KNOWN))}. Choose "
                    "some of these, or add a field to Case or Instruments."
                )

    def data(self) -> dict[str, Any]:
        """Return title, unit and direction, as values for JSON."""
        return {"title": self.title, "unit": self.unit, "better": self.better}
