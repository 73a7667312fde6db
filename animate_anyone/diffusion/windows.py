"""Which frames the denoiser sees together: plain arithmetic on frame numbers."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from ..errors import ConfigError, InputError

SHIFT_BITS = 64


@dataclass(frozen=True)
class Window:
    """Frames that go through the temporal layers together, and how far each is trusted."""

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
    overlap: int = 4  # frames that neighbours share, at least
    fuse: Literal["pyramid", "flat"] = "pyramid"
    loop: bool = False  # the last frame is followed by the first one
    shift: bool = False  # move the seams from step to step; may cost one window more

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

    Every window has exactly `config.length` frames when the clip has as many. The result depends
    on the arguments alone.
    """
    if frames < 1:
        raise InputError(f"frames got {frames}; a clip needs 1 frame or more.")
    if step < 0:
        raise InputError(f"step got {step}; steps count from 0.")
    turn = halving(step) if config.shift else 0.0
    if frames <= config.length:
        first = round(frames * turn) if config.loop else 0
        lists = [_run(first, frames, frames)]
    else:
        lists = [_run(start, config.length, frames) for start in _starts(frames, config, turn)]
    weigh = _WEIGHTS[config.fuse]
    return [Window(tuple(run), tuple(weigh(len(run)))) for run in lists]


def halving(step: int) -> float:
    """Return the step's bits mirrored about the binary point: 0, 1/2, 1/4, 3/4, 1/8, ...

    Successive values lie far apart and fill 0..1 evenly (van der Corput's sequence).
    """
    mirrored = int(f"{step:0{SHIFT_BITS}b}"[::-1], 2)
    return mirrored / (1 << SHIFT_BITS)


def _starts(frames: int, config: WindowConfig, turn: float) -> list[int]:
    pace = config.length - config.overlap  # neighbours lie at most this far apart
    if config.loop:
        count = math.ceil(frames / pace)
        return [i * frames // count + round(pace * turn) for i in range(count)]
    last = frames - config.length
    if config.shift:
        return _shifted_starts(last, pace, turn)
    gaps = math.ceil(last / pace)
    return [i * last // gaps for i in range(gaps + 1)]


def _shifted_starts(last: int, pace: int, turn: float) -> list[int]:
    """Return starts from 0 to `last` whose inner ones move with `turn` (0..1).

    They move within what the overlap has to spare; if that is less than half a pace, one more
    window makes room.
    """
    gaps = math.ceil(last / pace)
    spare = gaps * pace - last
    if 2 * spare < pace and pace > 1:
        gaps, spare = gaps + 1, spare + pace
    nearest, farthest = max(0, spare - pace + 1), min(spare, pace - 1)
    back = nearest + round((farthest - nearest) * turn)
    return [0, *(i * pace - back for i in range(1, gaps)), last]


def _run(start: int, length: int, frames: int) -> list[int]:
    return [(start + i) % frames for i in range(length)]


def _pyramid(length: int) -> list[float]:
    return [float(min(i + 1, length - i)) for i in range(length)]


def _flat(length: int) -> list[float]:
    return [1.0] * length


_WEIGHTS: dict[str, Callable[[int], list[float]]] = {"pyramid": _pyramid, "flat": _flat}
