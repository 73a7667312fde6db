"""From time stamps to an even speed: the frames that a player would show at even moments."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from operator import itemgetter

import numpy as np

_USUAL = (
    *(Fraction(n) for n in (10, 12, 15, 20, 24, 25, 30, 48, 50, 60, 90, 100, 120, 144, 240)),
    *(Fraction(1000 * n, 1001) for n in (24, 30, 60, 120)),
)
_NEAR = 0.1  # a usual speed is taken if it lies this near, as a share
_FASTEST = Fraction(240)  # frames per second; shorter distances are faults of time stamps
_MOST_REPEATED = 100  # mean repetitions of a frame; beyond that the time stamps are at fault


@dataclass(frozen=True, kw_only=True)
class Timing:
    """When the frames of a clip are shown, at an even speed."""

    frames: int  # at the even speed
    fps: Fraction | None  # None: the file does not say
    start: Fraction | None = None  # seconds, of the first frame; None: frames one after another
    note: str = ""  # for a report

    @property
    def variable(self) -> bool:
        """Return whether the speed of the file varies."""
        return bool(self.note)

    def even(
        self,
        frames: Iterator[tuple[Fraction | None, np.ndarray]],  # seconds, and (H, W, 3) uint8
    ) -> Iterator[np.ndarray]:
        """Yield frames at the even speed: repeated or left out where the file's speed varies."""
        if self.start is None or self.fps is None:
            yield from map(itemgetter(1), frames)  # which holds no frame while the next is made
            return
        shown, place = None, 0
        for stamp, frame in frames:
            start = place + 1 if stamp is None else _place((stamp - self.start) * self.fps)
            if shown is not None:
                yield from _repeated(shown, start - place)
            shown, place = frame, max(start, place)
        if shown is not None:
            yield from _repeated(shown, self.frames - place)


def timing_of(
    stamps: Sequence[Fraction | int | None],  # of each frame in the order of showing, in units
    last: Fraction | int | None,  # units that the last frame lasts; None: as long as is usual
    told: Sequence[Fraction | None] = (),  # frames per second that the file gives, best first
    announced: int = 0,  # frames by the file's header; more than stamps in a file that is cut off
    unit: Fraction = Fraction(1),  # seconds; the time base of a file, so that stamps are integers
) -> Timing:
    """Return when frames are shown.

    If each frame lies within half a frame of where an even speed puts it, all frames are kept, one
    after another. Otherwise they are placed by their time stamps at a speed that shows nearly all.
    """
    rates = [rate for rate in told if rate]
    known = [stamp for stamp in stamps if stamp is not None]
    steps = sorted(b - a for a, b in pairwise(known) if b > a)
    if len(known) < len(stamps) or not steps:
        return Timing(frames=max(len(stamps), announced), fps=rates[0] if rates else None)
    first, long, gaps = known[0], known[-1] - known[0], len(known) - 1
    mean = long * unit / gaps
    rest = last * unit if last else None
    # The same as abs(t - first - i * mean) <= mean / 2, without a fraction for each frame.
    if all(2 * abs((t - first) * gaps - i * long) <= long for i, t in enumerate(known)):
        # A last frame that is held says nothing, nor one that lasts as no other does.
        alike = last is not None and steps[0] - 1 <= last <= steps[-1] + 1
        if rest and alike and abs(rest - mean) < mean / 4:
            mean = (long * unit + rest) / len(known)
        fps = _even_speed(1 / mean, rates)
        # An AVI counts repeated frames too, so its number says nothing at another speed.
        header = announced if fps in rates else 0
        return Timing(frames=max(len(known), header), fps=fps)
    steps = [step for step in steps if step * unit * _FASTEST >= 1] or steps
    usual = 1 / (steps[len(steps) // 10] * unit)
    fps = min(_nearest(usual, [*rates[::-1], *_USUAL], _NEAR), _FASTEST)
    until = _place((long * unit + (rest or mean)) * fps)
    frames = max(_place(long * unit * fps) + 1, until)
    if frames > _MOST_REPEATED * len(known):
        note = (
            "The time stamps of the file jump; its frames are used one after another, as if at "
            f"{float(fps):.4g} frames per second, so sound may be out of step."
        )
        return Timing(frames=len(known), fps=fps, note=note)
    note = (
        "The frame rate of the file varies; by its time stamps it was brought to an even "
        f"{float(fps):.4g} frames per second: {len(known)} frames became {frames}."
    )
    return Timing(frames=frames, fps=fps, start=first * unit, note=note)


def _even_speed(speed: Fraction, told: Sequence[Fraction]) -> Fraction:
    """Return the speed that the file gives if its time stamps agree, or a usual one next to it."""
    near = _nearest(speed, told, 0.01)
    return near if near in told else _nearest(speed, _USUAL, 0.0005)


def _nearest(speed: Fraction, candidates: Sequence[Fraction], share: float) -> Fraction:
    """Return the candidate next to a speed if it is near, otherwise the speed itself."""
    best = min(candidates, key=lambda each: abs(each / speed - 1), default=speed)
    return best if abs(best / speed - 1) <= share else speed.limit_denominator(1001)


def _repeated(frame: np.ndarray, times: int) -> Iterator[np.ndarray]:
    for number in range(times):
        yield frame if number == 0 else frame.copy()


def _place(value: Fraction) -> int:
    return int(value + Fraction(1, 2))
