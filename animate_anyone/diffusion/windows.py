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

    `linear` spreads the windows evenly and never wraps unless `loop` is set. `uniform` is the
    scheduler of the public implementation, frame for frame; with `stride` above 1 its windows can
    hold a frame twice, and then only the last copy counts, as there.
    """

    length: int = 24  # frames in a window
    overlap: int = 4  # frames that neighbours share, at least
    schedule: Literal["linear", "uniform"] = "linear"
    fuse: Literal["pyramid", "flat"] = "pyramid"
    loop: bool = False  # the last frame is followed by the first one
    shift: bool = False  # move the seams from step to step; may cost one window more
    stride: int = 1  # uniform only: the number of window sets, set i takes every 2^i-th frame

    def __post_init__(self) -> None:
        if self.length < 1:
            raise ConfigError(f"window length got {self.length}; it must be 1 frame or more.")
        if not 0 <= self.overlap < self.length:
            raise ConfigError(
                f"window overlap got {self.overlap}; it must be at least 0 and less than the "
                f"window length {self.length}. Choose {min(4, self.length - 1)}, for example."
            )
        if self.schedule not in _PLANNERS:
            raise ConfigError(
                f"window schedule got {self.schedule!r}; choose {' or '.join(_PLANNERS)}."
            )
        if self.fuse not in _WEIGHTS:
            raise ConfigError(f"window fuse got {self.fuse!r}; choose {' or '.join(_WEIGHTS)}.")
        if self.stride < 1 or (self.stride > 1 and self.schedule != "uniform"):
            raise ConfigError(
                f"window stride got {self.stride} with schedule {self.schedule!r}; it must be 1, "
                f"or more with schedule 'uniform'."
            )


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
        first = round(frames * turn) if config.loop and config.schedule == "linear" else 0
        lists = [_run(first, frames, frames)]
    else:
        lists = _PLANNERS[config.schedule](frames, config, turn)
    weigh = _WEIGHTS[config.fuse]
    return [Window(tuple(run), _last_copies(run, weigh(len(run)))) for run in lists]


def halving(step: int) -> float:
    """Return the step's bits mirrored about the binary point: 0, 1/2, 1/4, 3/4, 1/8, ...

    Successive values lie far apart and fill 0..1 evenly (van der Corput's sequence).
    """
    mirrored = int(f"{step:0{SHIFT_BITS}b}"[::-1], 2)
    return mirrored / (1 << SHIFT_BITS)


def _linear(frames: int, config: WindowConfig, turn: float) -> list[list[int]]:
    pace = config.length - config.overlap  # neighbours lie at most this far apart
    if config.loop:
        count = math.ceil(frames / pace)
        starts = [i * frames // count + round(pace * turn) for i in range(count)]
    elif config.shift:
        starts = _shifted_starts(frames - config.length, pace, turn)
    else:
        last = frames - config.length
        gaps = math.ceil(last / pace)
        starts = [i * last // gaps for i in range(gaps + 1)]
    return [_run(start, config.length, frames) for start in starts]


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


def _uniform(frames: int, config: WindowConfig, turn: float) -> list[list[int]]:
    levels = min(config.stride, math.ceil(math.log2(frames / config.length)) + 1)
    pad = round(frames * turn)
    stop = frames + pad - (0 if config.loop else config.overlap)
    runs = []
    for level in range(levels):
        stride = 1 << level
        pace = config.length * stride - config.overlap
        for start in range(int(turn * stride) + pad, stop, pace):
            runs.append(_run(start, config.length, frames, stride))
    return runs


def _run(start: int, length: int, frames: int, stride: int = 1) -> list[int]:
    return [(start + i * stride) % frames for i in range(length)]


def _pyramid(length: int) -> list[float]:
    return [float(min(i + 1, length - i)) for i in range(length)]


def _flat(length: int) -> list[float]:
    return [1.0] * length


def _last_copies(run: list[int], weights: list[float]) -> tuple[float, ...]:
    last = {frame: place for place, frame in enumerate(run)}
    return tuple(w if last[run[i]] == i else 0.0 for i, w in enumerate(weights))


_PLANNERS: dict[str, Callable[[int, WindowConfig, float], list[list[int]]]] = {
    "linear": _linear,
    "uniform": _uniform,
}
_WEIGHTS: dict[str, Callable[[int], list[float]]] = {"pyramid": _pyramid, "flat": _flat}
