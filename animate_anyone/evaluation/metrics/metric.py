"""A metric as one record, and what it may look at: a result, its case, the instruments."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from torch import Tensor
from torch.jit import ScriptModule

from ...errors import ConfigError
from ...fitting import Fit
from ...types import PoseClip, Size
from .lpips import LpipsNetwork
from .video import FvdProtocol

INSTRUMENTS = ("lpips", "fvd", "pose")  # fields of Instruments that a metric may need
KNOWN = ("skeletons", "windows", "background", "near")  # fields of Case that a metric may need


class ReadsPoses(Protocol):
    """What reads skeletons from frames."""

    name: str  # for reports

    def read_pixels(
        self,
        frames: Tensor,  # (f, 3, H, W), 0..1
        progress: Callable[[int], None] | None = None,  # gets the frames done; may raise to stop
    ) -> PoseClip:
        """Return the skeletons on a canvas of the frames' size, of one person or of none."""
        ...


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


@dataclass(frozen=True, kw_only=True)
class Instruments:
    """The networks that there are, and how frames are compared; None: not measured."""

    metrics: tuple[str, ...] | None = None  # which figures are wanted, in this order; None: all
    pose: ReadsPoses | None = None
    lpips: LpipsNetwork | None = None
    fvd: tuple[FvdProtocol, ScriptModule] | None = None
    pck_threshold: float = 0.1  # torso lengths
    size: Size | None = None  # at which clips are compared; None: at their own
    fit: Fit = "pad"  # how they get there


@dataclass(frozen=True)
class Look:
    """What a metric of a clip is given. What the metric needs is there, all else may be None."""

    result: Tensor  # (f, 3, H, W), float32 or better, 0..1
    truth: Tensor  # the same of the true clip
    case: Case
    instruments: Instruments
    found: PoseClip | None  # the skeletons of the result; there where `pose` is needed

    @property
    def poses(self) -> tuple[PoseClip, PoseClip]:
        """Return the skeletons found in the result, and those that it was driven by."""
        assert self.found is not None
        assert self.case.skeletons is not None
        return self.found, self.case.skeletons


@dataclass(frozen=True)
class OfFrames:
    """A metric that looks at each frame alone; its figure is the mean over the clip."""

    # Gets some frames of the result and the true ones, (f, 3, H, W) in 0..1; gives (f,).
    values: Callable[[Tensor, Tensor, Instruments], Tensor]


@dataclass(frozen=True)
class OfClip:
    """A metric that looks at a whole clip; None where the clip has no such figure."""

    value: Callable[[Look], float | None]


Lengths = Iterable[tuple[str, int, float]]  # of every clip: name, frames, frames per second


@dataclass(frozen=True)
class OfSet:
    """A metric that compares the clips of a way with the true ones, all together.

    Of each clip only features are kept: (pieces, d), a row for each piece that it is cut into.
    """

    features: Callable[[Tensor, float, Instruments], np.ndarray]  # of a clip and its fps
    value: Callable[[np.ndarray, np.ndarray], float]  # of all features: ours, and the true ones
    # Refuses, before anything is computed, sets that are too small.
    check: Callable[[Instruments, Lengths], None]


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One figure: a column of the tables, and how it comes about."""

    title: str  # the column's
    digits: int  # behind the point
    better: Literal["higher", "lower", "nearer 1"]
    measure: OfFrames | OfClip | OfSet
    unit: str = ""  # "dB"; empty for shares and for what has none
    needs: tuple[str, ...] = ()  # of INSTRUMENTS and KNOWN; the truth is always there
    condition: str = ""  # on the clips, told where no clip has the figure
    legacy: bool = False  # only there to be compared with tables of others

    def __post_init__(self) -> None:
        """Refuse a need that nothing fulfils."""
        for need in self.needs:
            if need not in (*INSTRUMENTS, *KNOWN):
                raise ConfigError(
                    f"needs got {need!r}; known are {', '.join((*INSTRUMENTS, *KNOWN))}. Choose "
                    "some of these, or add a field to Case or Instruments."
                )

    def data(self) -> dict[str, Any]:
        """Return what a reader of figures has to know, as JSON holds it."""
        return {"title": self.title, "unit": self.unit, "better": self.better}
