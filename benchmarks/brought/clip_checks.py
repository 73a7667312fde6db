"""Checks of clips: reads a file as every part of the program does, and compares what came out."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from animate_anyone.media import Background, ClipInfo, clip_info, frames_of, read_picture, to_bytes
from animate_anyone.types import Size

from .case import MismatchError
from .clip_files import QUARTERS

Read = Callable[[Path], str]
Colours = Sequence[tuple[int, ...]]


def whole(path: Path, background: Background = "white") -> tuple[ClipInfo, list[np.ndarray]]:
    """Return what is known of a clip and its frames; MismatchError if the two disagree."""
    info, frames = clip_info(path), list(frames_of(path, background))
    if len(frames) < info.frames and info.remarks(len(frames)) != info.notes:
        return info, frames  # the report tells that frames are missing
    sizes = {(frame.shape[1], frame.shape[0]) for frame in frames}
    if len(frames) != info.frames or sizes != {(info.size.width, info.size.height)}:
        raise MismatchError(
            f"{len(frames)} frames of {sizes}, announced {info.frames}, {info.size}"
        )
    return info, frames


def shows(
    colours: Colours = QUARTERS,  # of the quarters, row by row
    within: int = 4,  # levels
    size: tuple[int, int] = (64, 48),  # pixels
    frames: int | None = None,
    said: str = "",  # words that a note must hold
    silent: bool = False,  # no note at all
    background: Background = "white",
) -> Read:
    """Return a check of the colours of the four quarters, of size, length and notes."""

    def read(path: Path) -> str:
        info, seen = whole(path, background)
        off = 0
        for frame in (seen[0], seen[-1]):
            off = max(off, _farthest(frame, colours))
        _must(off <= within, f"a colour is off by {off} of 255")
        _must(info.size == Size(*size), f"size {info.size}, not {size}")
        _must(frames is None or len(seen) == frames, f"{len(seen)} frames, not {frames}")
        notes = " ".join(info.remarks(len(seen)))
        _must(said in notes, f"the report says {notes!r}")
        _must(not (silent and notes), f"the report says {notes!r}")
        return f"colours within {off} of 255" + (f"; says: {notes}" if notes else "")

    return read


def counts(
    levels: Sequence[int],  # the number of the source frame that each frame shows
    fps: float | None,
    said: str = "",  # words that a note must hold
) -> Read:
    """Return a check of a clip of counted frames: which frame comes when."""

    def read(path: Path) -> str:
        info, frames = whole(path)
        found = [round(float(frame.mean()) / 10) for frame in frames]
        speed = None if info.fps is None else round(float(info.fps), 3)
        _must(found == list(levels), f"frames {found}")
        _must(speed == fps, f"{speed} frames per second, not {fps}")
        notes = " ".join(info.remarks(len(frames)))
        _must(said in notes, f"the report says {notes!r}")
        return f"{len(found)} frames" + (f"; says: {notes}" if notes else "")

    return read


def smooth(path: Path) -> str:
    """Check that rows of an interlaced clip no longer alternate."""
    _, frames = whole(path)
    comb = max(
        np.abs(frame[1:-1].astype(int) - (frame[:-2].astype(int) + frame[2:]) / 2).mean()
        for frame in frames
    )
    _must(comb < 4, f"rows differ from their neighbours by {comb:.1f} of 255")
    return f"rows differ from their neighbours by {comb:.1f} of 255 (woven: above 6)"


def a_picture(colours: Colours = QUARTERS, within: int = 4) -> Read:
    """Return a check of a file that is read as a reference picture, and as a clip of one frame."""

    def read(path: Path) -> str:
        off = 0
        for frame in (to_bytes(read_picture(path))[0], whole(path)[1][0]):
            off = max(off, _farthest(frame, colours))
        _must(off <= within, f"a colour is off by {off} of 255")
        return f"colours within {off} of 255"

    return read


def cut_short(path: Path) -> str:
    """Check that a damaged clip gives its beginning, and that the end is told."""
    info, frames = clip_info(path), []
    frames.extend(frames_of(path))
    notes = " ".join(info.remarks(len(frames)))
    _must("could be read" in notes, f"{len(frames)} of {info.frames} frames; says {notes!r}")
    return notes


def _farthest(frame: np.ndarray, colours: Colours) -> int:
    """Return how far the middle of a quarter is from its colour, the farthest of all channels."""
    H, W = frame.shape[:2]
    off = 0
    for number, colour in enumerate(colours):
        row, column = H // 4 + (number // 2) * (H // 2), W // 4 + (number % 2) * (W // 2)
        off = max(off, int(np.abs(frame[row, column].astype(int) - colour).max()))
    return off


def _must(true: bool, otherwise: str) -> None:
    if not true:
        raise MismatchError(otherwise)
