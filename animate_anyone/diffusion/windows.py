"""Which frames the denoiser sees together: plain arithmetic on frame numbers."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from ..errors import ConfigError, InputError

SHIFT_BITS = 64


@dataclass(frozen=True)
class Window:
    """Frames that go through the temporal layers together, and their weights in the average."""

    frames: tuple[int, ...]  # in the order in which the denoiser sees them
    weights: tuple[float, ...]  # one per frame; only ratios between windows matter

    def __len__(self) -> int:
        """Return the number of frames."""
        return len(self.frames)


@dataclass(frozen=True, kw_only=True)
class WindowConfig:
    """How a clip is cut into windows.

    The windows are spread evenly and never wrap unless `loop` is set.
    """

    length: int = 24  # frames in a window
    overlap: int = 4  # frames that neighbouring windows share, at least
    fuse: Literal["pyramid", "flat"] = "pyramid"
    loop: bool = False  # the last frame is followed by the first one
    shift: bool = False  # move the seams at every sampling step; may need one window more

    def __post_init__(self) -> None:
        if self.length < 1:
            raise ConfigError(f"window length got {self.length}; it must be 1 frame or more.")
        if not 0 <= self.overlap < self.length:
            raise ConfigError(
                f"window overlap got {self.overlap}; it must be at least 0 and less than the "
                f"window length {self.length}. Choose {min(4, self.length - 1)}, for example."
            )
        if self.fuse not in _WEIGHTS:
            raise ConfigError(f"window fuse got {self.fuse!r}; choose {' or '.join(_WEIGHTS)}.")


def plan_windows(
    frames: int,  # length of the clip
    config: WindowConfig,
    step: int = 0,  # sampling step; moves the seams if config.shift is set
) -> list[Window]:
    """Return windows that together cover every frame; a short clip is one window.

    If the clip has `config.length` frames or more, every window has exactly that many.
    """
    length = min(frames, config.length)
    starts = window_starts(frames, config, step)
    weights = tuple(window_weights(length, config))
    return [Window(tuple(_frame_numbers(start, length, frames)), weights) for start in starts]


def window_starts(frames: int, config: WindowConfig, step: int = 0) -> list[int]:
    """Return the first frame of each window of `plan_windows`, without its list of frames.

    With `loop`, a start may be `frames` or more: count on from frame 0.
    """
    if frames < 1:
        raise InputError(f"frames got {frames}; a clip needs 1 frame or more.")
    if step < 0:
        raise InputError(f"step got {step}; steps count from 0.")
    fraction = van_der_corput(step) if config.shift else 0.0
    if frames <= config.length:
        return [round(frames * fraction) if config.loop else 0]
    return _starts(frames, config, fraction)


def window_weights(length: int, config: WindowConfig) -> list[float]:
    """Return the weight of each frame of a window of `length` frames in the average."""
    return _WEIGHTS[config.fuse](length)


def van_der_corput(step: int) -> float:
    """Return a term of van der Corput's sequence in base 2: 0, 1/2, 1/4, 3/4, 1/8, ...

    It is the step's bits mirrored about the binary point. Successive terms lie far apart, and all
    together fill 0..1 evenly.
    """
    mirrored = int(f"{step:0{SHIFT_BITS}b}"[::-1], 2)
    return mirrored / (1 << SHIFT_BITS)


def _starts(frames: int, config: WindowConfig, fraction: float) -> list[int]:
    """Return the first frame of each window; `fraction` (0..1) shifts them if config.shift."""
    stride = config.length - config.overlap  # the largest distance between neighbouring starts
    if config.loop:
        count = math.ceil(frames / stride)
        return [i * frames // count + round(stride * fraction) for i in range(count)]
    last = frames - config.length
    if config.shift:
        return _starts_with_shift(last, stride, fraction)
    gaps = math.ceil(last / stride)
    return [i * last // gaps for i in range(gaps + 1)]


def _starts_with_shift(last: int, stride: int, fraction: float) -> list[int]:
    """Return starts from 0 to `last`; all but these two are shifted by `fraction` (0..1).

    Neighbouring starts are at most one stride apart. `slack`, the difference between strides and
    `last`, is how far the inner starts can move; if it is less than half a stride, one window is
    added.
    """
    gaps = math.ceil(last / stride)
    slack = gaps * stride - last
    if 2 * slack < stride and stride > 1:
        gaps, slack = gaps + 1, slack + stride
    least, most = max(0, slack - stride + 1), min(slack, stride - 1)
    earlier = least + round((most - least) * fraction)
    return [0, *(i * stride - earlier for i in range(1, gaps)), last]


def _frame_numbers(start: int, length: int, frames: int) -> list[int]:
    """Return `length` frame numbers from `start` on; after the clip's last frame comes frame 0."""
    return [(start + i) % frames for i in range(length)]


def _pyramid(length: int) -> list[float]:
    return [float(min(i + 1, length - i)) for i in range(length)]


def _flat(length: int) -> list[float]:
    return [1.0] * length


_WEIGHTS: dict[str, Callable[[int], list[float]]] = {"pyramid": _pyramid, "flat": _flat}
