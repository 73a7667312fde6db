"""Protocols: one frozen record per test, with all that a result depends on besides the model.

The paper defines the clips and the metrics, but neither the size at which frames are compared nor
the frame rate and length of FVD's clips. For these, protocols.json has this project's choices; they
are printed with every result.
"""

import difflib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from ..errors import ConfigError
from ..fitting import FITS, Fit
from ..json_files import read_record
from ..types import Size
from .metrics.frames import Ssim
from .metrics.lpips import BACKBONES, Inputs, Net
from .metrics.metric import Resize, Weighted
from .metrics.table import METRICS, names_for
from .metrics.video import FvdResize, Starts

Characters = Literal["fronts", "kinds"]
REST = "..."  # in the metrics of a record: all other metrics, in the order of METRICS
RECORDS = Path(__file__).with_name("protocols.json")


@dataclass(frozen=True, kw_only=True)
class LpipsRule:
    """The network of LPIPS."""

    net: Net
    sha256: str  # of torchvision's file of the backbone; its first 8 digits or more
    inputs: Inputs = "-1..1"  # the range to which frames are scaled


@dataclass(frozen=True, kw_only=True)
class FvdRule:
    """The clips that FVD compares, and its network."""

    frames: int  # of each clip that a video is cut into
    size: int  # pixels; frames are resized to this square, whatever their shape
    fps: float | None  # rate at which frames are taken; None: every frame
    sha256: str  # of the TorchScript file
    starts: Starts = "apart"  # where the pieces of a video begin
    resize: FvdResize = "bilinear"


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """A test; two results can be compared only if all fields are equal."""

    name: str
    title: str
    drawn: bool  # True: this package draws the clips; False: the user gives real ones
    clips: int  # in the whole test
    width: int  # pixels at which frames are compared
    height: int
    fit: Fit  # how frames of another shape are fitted: "pad" continues their edges, or they are cut
    frames: int | None  # of each clip, from its first; None: all
    stride: int  # every stride-th frame of the clip is compared
    fps: float  # for clips whose files do not give it
    reference: str  # the picture that is animated, in words
    skeletons: str  # the skeletons that drive it, in words
    metrics: tuple[str, ...]  # names of METRICS, in the order of the table; see `_all_metrics`
    pck_threshold: float  # torso lengths within which a joint is right
    lpips: LpipsRule
    fvd: FvdRule
    paper: str | None  # table of paper.json whose rows are shown beside the results
    characters: Characters = "fronts"  # drawn ones: fronts only, or also all kinds and backs
    # How the figures are computed, where tables of others do it in another way.
    ssim: Ssim = "gaussian"
    resize: Resize = "bicubic"  # of frames to the compared size
    weighted: Weighted = "clips"  # what counts the same in the mean of a figure of frames

    def __post_init__(self) -> None:
        """Raise ConfigError for values that cannot be measured with."""
        for name in ("clips", "width", "height", "stride", "fps", "pck_threshold"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"{name} got {getattr(self, name)}; it must be above 0.")
        if self.frames is not None and self.frames < 1:
            raise ConfigError(f"frames got {self.frames}; it must be 1 or more, or null for all.")
        for name, value, known in (
            ("fit", self.fit, FITS),
            ("lpips.net", self.lpips.net, tuple(BACKBONES)),
            ("lpips.inputs", self.lpips.inputs, get_args(Inputs)),
            ("fvd.starts", self.fvd.starts, get_args(Starts)),
            ("fvd.resize", self.fvd.resize, get_args(FvdResize)),
            ("characters", self.characters, get_args(Characters)),
            ("ssim", self.ssim, get_args(Ssim)),
            ("resize", self.resize, get_args(Resize)),
            ("weighted", self.weighted, get_args(Weighted)),
            *(("metrics", metric, tuple(METRICS)) for metric in self.metrics),
        ):
            if value not in known:
                raise ConfigError(f"{name} got {value!r}; {_nearest(value, known)}")

    @property
    def size(self) -> Size:
        """Return the size at which frames are compared."""
        return Size(self.width, self.height)

    def data(self) -> dict[str, Any]:
        """Return the record as values for JSON."""
        return asdict(self)

    @classmethod
    def from_data(cls, data: dict[str, Any]) -> "Protocol":
        """Return the record from values of JSON; ConfigError for missing or unknown keys."""
        try:
            return cls(
                **{
                    **data,
                    "metrics": _all_metrics(data["metrics"], drawn=data["drawn"]),
                    "lpips": LpipsRule(**data["lpips"]),
                    "fvd": FvdRule(**data["fvd"]),
                }
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ConfigError(
                f"protocol got a record that is not valid ({error}); it must have exactly the "
                f"fields of those in {RECORDS.name}. Copy one of them and change its values."
            ) from error


def load_protocol(name: str | Path) -> Protocol:
    """Return a test by its name, or from the user's own JSON file.

    ConfigError for an unknown name, with the nearest known one, and for a record that is wrong.
    """
    records = _records()
    if str(name) in records:
        return Protocol.from_data({"name": str(name), **records[str(name)]})
    path = Path(name)
    if path.suffix != ".json":
        raise ConfigError(f"protocol got {str(name)!r}; {_nearest(str(name), tuple(records))}")
    data = read_record(path, "protocol", raises=ConfigError)
    return Protocol.from_data({"name": path.stem, **data})


def _all_metrics(names: list[str], *, drawn: bool) -> tuple[str, ...]:
    """Return the names; REST is replaced by all other metrics that such clips can have."""
    rest = [name for name in names_for(drawn=drawn) if name not in names]
    return tuple(each for name in names for each in (rest if name == REST else [name]))


def _records() -> dict[str, dict[str, Any]]:
    return json.loads(RECORDS.read_text(encoding="utf-8"))


def _nearest(value: str, known: tuple[str, ...]) -> str:
    near = difflib.get_close_matches(str(value), known, n=1, cutoff=0.0)[0]
    return f"known are {', '.join(known)}. Did you mean {near!r}?"
