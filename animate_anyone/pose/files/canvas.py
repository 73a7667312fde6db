"""The canvas of each frame, and whether the points agree with it."""

import numpy as np

from ...errors import InputError
from ...fitting import placement
from ...types import Size
from ..skeleton.joints import LARGEST_PX
from .records import Frame
from .units import Tables

_SAME_SHAPE = 0.01
_SMALL = 0.08  # of the canvas's longer side: people who are never larger are worth a word


def canvases_of(
    frames: list[Frame],
    default: Size | None,
    notes: list[str],
    option: str = "--canvas",  # the option of a command for `default`, for messages
) -> list[Size]:
    """Return each frame's canvas: its own, else `default`; InputError where there is neither.

    Frames that show nobody may take the canvas of another frame.
    """
    named = next((frame for frame in frames if frame.canvas is not None), None)
    result = [
        _canvas(
            named if named and not frame.people and frame.canvas is None else frame,
            index,
            default,
            option,
        )
        for index, frame in enumerate(frames)
    ]
    missing = sum(frame.canvas is None for frame in frames if frame.people or not named)
    if default is not None and 0 < missing < len(frames):
        notes.append(f"{missing} of {len(frames)} frames name no canvas: {_text(default)} as given")
    elif default is not None and not missing and not _same_shape(default, result[0]):
        notes.append(f"the file names the canvas {_text(result[0])}; {_text(default)} is not used")
    first = result[0]
    others = [index for index, canvas in enumerate(result) if canvas != first]
    if others:
        other = result[others[0]]
        notes.append(
            f"the canvas changes from {first.width} x {first.height} to {other.width} x "
            f"{other.height} pixels in frame {others[0]}; {len(others)} of {len(result)} frames "
            f"are fitted into the first canvas"
        )
    return result


def _canvas(frame: Frame, index: int, default: Size | None, option: str) -> Size:
    if frame.canvas is None and default is not None:
        return default
    width, height = frame.canvas or (None, None)
    try:
        size = Size(int(width), int(height))  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        size = Size(0, 0)
    if not 1 <= min(size.width, size.height) <= max(size.width, size.height) <= LARGEST_PX:
        raise InputError(
            f"keypoints frame {index} got canvas {width!r} x {height!r}; both must be whole "
            f"numbers of pixels from 1 to {LARGEST_PX}. Name it in the file or pass its size "
            f"({option} WxH, or width and height of Load Keypoints)."
        )
    return size


def check_canvas(tables: Tables, canvases: list[Size], notes: list[str]) -> None:
    """Note a canvas that is far from the points, in pixels: they lie outside, or in a corner."""
    sides = np.array([[canvas.width, canvas.height] for canvas in canvases], np.float64)
    xy = np.concatenate([table[..., :2] for table in tables.values()], 2)
    seen = np.concatenate([table[..., 2] > 0 for table in tables.values()], 2)
    if not seen.any():
        return  # `check_people` tells it
    limits = sides[:, None, None]
    outside = (((xy < 0) | (xy > limits)).any(-1) & seen).sum() / seen.sum()
    size = _text(canvases[0])
    if outside > 0.5:
        right, bottom = np.where(seen[..., None], xy, -np.inf).max((0, 1, 2))
        notes.append(
            f"warning: {outside:.0%} of the points lie off the canvas {size}; they reach to x "
            f"{right:.0f}, y {bottom:.0f}. Check the canvas"
        )
        return
    low = np.where(seen[..., None], xy, np.inf).min(2)
    high = np.where(seen[..., None], xy, -np.inf).max(2)
    extent = np.where(seen.any(2), (high - low).max(-1), 0.0)
    several = seen.sum(2) > 2
    share = (extent / sides.max(1)[:, None])[several]
    if len(share) and share.max() < _SMALL:
        notes.append(
            f"warning: people are at most {extent[several].max():.0f} pixels large on the canvas "
            f"{size}. Check the canvas"
        )


def onto_first(tables: Tables, canvases: list[Size]) -> None:
    """Fit every frame's points into the first canvas, in place."""
    places = np.array([placement(canvas, canvases[0]) for canvas in canvases])
    scale, corner = places[:, 0][:, None, None, None], places[:, 1:][:, None, None]
    for table in tables.values():
        seen = table[..., 2:] > 0
        table[..., :2] = np.where(seen, table[..., :2] * scale + corner, 0.0)


def _same_shape(a: Size, b: Size) -> bool:
    """Return whether two canvases have the same aspect, within the 1 % that rounding causes."""
    return abs(a.width * b.height / (a.height * b.width) - 1) <= _SAME_SHAPE


def _text(size: Size) -> str:
    return f"{size.width}x{size.height}"
