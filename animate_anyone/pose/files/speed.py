"""The speed of a clip of keypoints, by what its file names or by the times of its frames."""

import re
from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import pairwise
from typing import TypeGuard

from ...names.frames import natural
from ...names.some import some
from .clips import in_order, is_by_number, names_image
from .points import short
from .records import Record, Source, Speed, is_list, is_record

_SPEEDS = ("fps", "framerate", "framespersecond", "videofps")  # in small letters alone
_ABOUT = ("info", "meta_info", "metadata", "meta", "video", "video_info")  # may name the speed
# Names of a frame's time, and how many of its units are a second, if the name says that.
_TIMES = ("timestamp", "time", "timestamp_ms", "time_ms", "time_sec", "timestamp_usec")
_PARTS = {"timestamp_ms": 10**3, "time_ms": 10**3, "time_sec": 1, "timestamp_usec": 10**6}
# Otherwise the usual distance of frames tells: at most so many units, so many units in a second.
_UNITS = ((2, 1), (2e3, 10**3), (2e6, 10**6), (float("inf"), 10**9))
_LAST_TIME = 1e20  # beyond that it is no time
_UNEVEN = 1.5  # times the mean distance of frames
_JUMP = 3  # times the usual distance is the mean: the times jump, as where a recording paused
_MILLI, _FEW = 10**3, 10  # whole ms between frames; so few may count frames instead
_NAMED = 3  # wrong speeds in a note
_BROADCAST = tuple(Fraction(1000 * n, 1001) for n in (24, 30, 60, 120))
_USUAL = (*map(Fraction, (10, 12, 15, 20, 24, 25, 30, 48, 50, 60, 120)), *_BROADCAST)
SLOWEST, FASTEST = Fraction(1, 1000), Fraction(1000)  # frames per second that a clip can have


def speed_of(value: object, source: Source) -> Speed | None:
    """Return the speed that a file names, or that the times of its frames tell; None for neither.

    Of every second frame of a clip, by the frame numbers, half the named speed. What is doubtful
    becomes a note of the source.
    """
    records, notes = _records_in(value), source.notes
    named, timed = _named_speed(value, records, notes), _timed_speed(records, source)
    if named is None:
        told = "by the times of its frames"
        return None if timed is None else Speed(fps=timed, told=told)
    fps = named / source.step
    if fps < SLOWEST:
        notes.append(f"frame numbers rise by {source.step}: taken as numbers, not as times")
        fps = named
    if timed is not None and not _is_near(fps, timed):
        if _is_near(named, timed):
            fps = named
        else:
            notes.append(
                f"the times of its frames tell {float(timed):.4g} frames per second, but the file "
                f"names {float(named):.4g}"
            )
    told = "as the file names"
    if fps != named:
        told = f"as the file names {float(named):.4g} and holds one of {source.step} frames"
    return Speed(fps=fps, told=told)


def _named_speed(value: object, frames: Sequence[Record], notes: list[str]) -> Fraction | None:
    """Return the speed that the file or its frames name; of several speeds the first, or middle."""
    about = [value, *(value.get(name) for name in _ABOUT)] if is_record(value) else []
    about += value["videos"] if is_record(value) and is_list(value.get("videos")) else []
    wrong: list[str] = []
    told = [fps for one in about for fps in _speeds_in(one, wrong)]
    inside = sorted(fps for one in frames for fps in _speeds_in(one, wrong))
    if wrong := list(dict.fromkeys(wrong)):
        what = "which is no speed" if len(wrong) == 1 else "which are no speeds"
        notes.append(f"{some(wrong, _NAMED)}, {what}: passed over")
    every = [*told, *inside]
    if len(set(every)) > 1:
        many = f"from {float(min(every)):.4g} to {float(max(every)):.4g}"
        notes.append(f"the file names speeds {many} frames per second: the {_one_of(told)} is used")
    if told:
        return told[0]
    return inside[(len(inside) - 1) // 2] if inside else None


def _one_of(told: list[Fraction]) -> str:
    return "first" if told else "middle one"


def _speeds_in(record: object, wrong: list[str]) -> Iterator[Fraction]:
    """Yield the speeds that a record names, in frames per second; add what is none to `wrong`."""
    for name, value in record.items() if is_record(record) else ():
        if re.sub(r"[ _-]", "", str(name).lower()) not in _SPEEDS or value is None:
            continue
        fps = _number(value)
        if SLOWEST <= fps <= FASTEST:
            yield _nearest(fps, _BROADCAST, 0.0002)
        else:
            wrong.append(f"{name} got {short(value)}")


def _number(value: object) -> Fraction:
    """Return a number, which may be written as text such as 30000/1001; 0 for anything else."""
    text = isinstance(value, str) and re.fullmatch(r"\s*[\d.]{1,24}(/\d{1,9})?\s*", value)
    if isinstance(value, bool) or not (text or isinstance(value, int | float)):
        return Fraction(0)
    try:
        return Fraction(value)  # type: ignore[arg-type]
    except (ValueError, ZeroDivisionError, OverflowError):
        return Fraction(0)


def _records_in(value: object) -> list[Record]:
    """Return the records of a file's frames in their order, which may hold more than people."""
    for name in ("frames", "data", "instance_info") if is_record(value) else ():
        value = value.get(name, value) if is_record(value) else value
    if is_record(value) and is_by_number(value):
        value = [value[name] for name in sorted(value, key=natural)]
    return in_order([one for one in value if is_record(one)]) if is_list(value) else []


def _timed_speed(records: Sequence[Record], source: Source) -> Fraction | None:
    """Return the speed by the times of frames: in seconds, or in parts of them."""
    for name in _TIMES if len(source.frames) > 1 else ():
        found = [one.get(name) for one in records]
        times = [time for time in found if _is_time(time)]
        if len(times) < len(found):
            odd = (time for time in found if time is not None and not _is_time(time))
            if (wrong := next(odd, None)) is not None:
                source.notes.append(f"{name} got {short(wrong)}, which is no time: passed over")
        elif len(set(times)) > 1:
            return _speed_by(name, times, source, by_image=names_image(records))
    return None


def _speed_by(
    name: str,
    found: Sequence[int | float],  # times of records, which may be several of a frame
    source: Source,
    *,
    by_image: bool,  # records come in another order than frames
) -> Fraction | None:
    """Return the speed by the times of this name; what is doubtful becomes a note."""
    times, gaps, notes = sorted(set(found)), len(source.frames) - 1, source.notes
    steps = [after - before for before, after in pairwise(times)]
    mean, usual = (times[-1] - times[0]) / gaps, sorted(steps)[(len(steps) - 1) // 2]
    counts = name not in _PARTS and isinstance(times[0], int) and len(set(steps)) == 1
    if counts and usual == 1:
        notes.append(f"{name} rises by 1 a frame: taken as a number, not as seconds")
        return None
    parts = _PARTS.get(name) or next(part for most, part in _UNITS if usual <= most)
    jumps = mean > _JUMP * usual
    each = usual if jumps else mean
    if not 1 / 300 < each / parts < 2:
        told = f"{float(parts / each):.4g} frames per second"
        notes.append(f"{name} would tell {told}, which is no usual speed: passed over")
        return None
    if counts and parts == _MILLI and usual <= _FEW:
        notes.append(f"{name} rises by {usual} a frame: taken as ms, not as a number")
    if not by_image and any(after < before for before, after in pairwise(found)):
        notes.append(f"{name} does not rise from frame to frame: frames stay in their order")
    if jumps or (len(times) == gaps + 1 and max(steps) > _UNEVEN * mean):
        apart = f"{1000 * min(steps) / parts:.3g} to {1000 * max(steps) / parts:.3g} ms apart"
        notes.append(f"frames are {apart}: they are shown at an even speed")
    return _nearest(Fraction(parts / each), _USUAL, 0.02)


def _is_time(value: object) -> TypeGuard[int | float]:
    return (
        isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _LAST_TIME
    )


def _is_near(one: Fraction, other: Fraction) -> bool:
    return abs(one / other - 1) <= 0.03


def _nearest(fps: Fraction, usual: Sequence[Fraction], share: float) -> Fraction:
    """Return the usual speed next to one if it is near, otherwise the speed itself."""
    best = min(usual, key=lambda each: abs(each / fps - 1))
    return best if abs(best / fps - 1) <= share else fps.limit_denominator(1001)
