"""The settings of a prepared data set, which are saved with it."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..errors import ConfigError, MediaError
from ..fitting import FITS, Fit
from ..json_files import read_record
from ..places import whole_file
from ..types import DEFAULT_FPS, Size
from .manifest import CACHES

SETTINGS = "settings.json"
PICTURES = ("png", "jpg")
_PIXELS = 8  # pixels per latent of an autoencoder


@dataclass(frozen=True, kw_only=True)
class PrepareConfig:
    """The settings that determine the files of a prepared data set."""

    size: Size
    fit: Fit = "pad"
    min_frames: int = 24  # least length of a span
    pictures: str = "png"  # lossless; jpg takes a fifth of the space
    fps: float = float(DEFAULT_FPS)  # for folders of pictures, which have no frame rate
    poses: str  # hash of the pose networks, or another source of the poses
    cached: Mapping[str, str]  # of CACHES -> hash of the encoder

    def __post_init__(self) -> None:
        """Reject invalid values."""
        if self.size.width % _PIXELS or self.size.height % _PIXELS:
            raise ConfigError(
                f"size got {self.size.width}x{self.size.height}; both sides must be multiples of "
                f"{_PIXELS}. Choose for instance 512x768."
            )
        if self.min_frames < 1 or not self.fps > 0:
            raise ConfigError(
                f"min_frames got {self.min_frames} and fps {self.fps}; both must be above 0."
            )
        for name, value, known in (
            ("fit", (self.fit,), FITS),
            ("pictures", (self.pictures,), PICTURES),
            ("cache", tuple(self.cached), CACHES),
        ):
            if not set(value) <= set(known):
                raise ConfigError(f"{name} got {', '.join(value)}; known are {', '.join(known)}.")


def check_settings(out: Path, config: PrepareConfig) -> None:
    """Write the settings of a new data set; ConfigError if an existing one has other settings."""
    path = out / SETTINGS
    ours = json.loads(json.dumps(asdict(config)))
    if not path.exists():
        with whole_file(path) as part:
            part.write_text(json.dumps(ours, indent=1) + "\n", encoding="utf-8")
        return
    theirs = read_record(path, "out", raises=MediaError)
    other = [name for name in ours if ours[name] != theirs.get(name)]
    if other:
        differences = ", ".join(
            f"{name} {_shown(theirs.get(name))} instead of {_shown(ours[name])}" for name in other
        )
        raise ConfigError(
            f"out got {out}, which was prepared with other settings ({differences}). Use those, or "
            f"another folder; --poses {out} reuses the keypoints found there."
        )


def _shown(value: Any) -> str:  # noqa: ANN401  (any JSON value)
    """Return a setting for a message; caches with the beginning of their encoder's hash."""
    if isinstance(value, Mapping):
        return " and ".join(f"{name} ({str(one)[:8]})" for name, one in value.items()) or "nothing"
    return str(value)
