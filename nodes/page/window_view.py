"""The windows of a clip, for the page to draw before sampling."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from ...animate_anyone.diffusion.windows import Window, WindowConfig, plan_windows
from ...animate_anyone.errors import InputError

MAX_FRAMES = 10_000  # more do not fit on a screen
MAX_WINDOW_LENGTH = 512  # frames; the limit of the nodes' inputs
MAX_DRAWN = 60  # as many rows as a panel has pixels
TRUE, FALSE = ("true", "1"), ("false", "0")


async def show_windows(values: Mapping[str, str]) -> dict[str, Any]:
    """Return `describe_windows`, computed in a thread so that the server stays responsive."""
    return await asyncio.to_thread(describe_windows, values)


def describe_windows(values: Mapping[str, str]) -> dict[str, Any]:
    """Return the windows of a clip and the number of UNet calls for them.

    The first `MAX_DRAWN` windows are described frame by frame; with `shift`, those of
    the first step. The number of windows is the same at every step.
    """
    config = WindowConfig(
        length=_whole(values, "length", WindowConfig.length),
        overlap=_whole(values, "overlap", WindowConfig.overlap),
        fuse=values.get("fuse", WindowConfig.fuse),  # type: ignore[arg-type]  (checked there)
        loop=_truth(values, "loop", default=WindowConfig.loop),
        shift=_truth(values, "shift", default=WindowConfig.shift),
    )
    frames, steps = _whole(values, "frames", 72), _whole(values, "steps", 1)
    if frames > MAX_FRAMES:
        raise InputError(
            f"frames got {frames}; windows are drawn for {MAX_FRAMES} frames or fewer. Enter "
            "fewer; longer clips can be sampled, but not drawn."
        )
    if config.length > MAX_WINDOW_LENGTH:
        raise InputError(
            f"length got {config.length}; a window has at most {MAX_WINDOW_LENGTH} frames. Enter "
            "fewer."
        )
    if steps < 1:
        raise InputError(f"steps got {steps}; sampling needs 1 step or more.")
    windows = plan_windows(frames, config)
    return {
        "frames": frames,
        "length": len(windows[0]),
        "count": len(windows),
        "steps": steps,
        "calls": len(windows) * steps,
        "moving": config.shift and len(windows) > 1,
        "windows": [
            {"frames": window.frames, "shares": shares}
            for window, shares in zip(
                windows[:MAX_DRAWN],
                shares_of(windows, frames, MAX_DRAWN),
                strict=True,
            )
        ],
    }


def shares_of(
    windows: Sequence[Window],
    frames: int,  # of the clip
    most: int,  # windows to describe
) -> list[list[float]]:  # per window and frame, 0..1
    """Return the share of each frame that comes from each of the first windows.

    The shares of a frame over all windows sum to 1.
    """
    sums = [0.0] * frames
    for window in windows:
        for frame, weight in zip(window.frames, window.weights, strict=True):
            sums[frame] += weight
    return [
        [round(w / sums[frame], 3) for frame, w in zip(window.frames, window.weights, strict=True)]
        for window in windows[:most]
    ]


def _whole(values: Mapping[str, str], name: str, default: int) -> int:
    text = values.get(name, str(default))
    try:
        return int(text)
    except ValueError as error:
        raise InputError(
            f"{name} got {text!r}; it must be a whole number, for example {default}."
        ) from error


def _truth(values: Mapping[str, str], name: str, *, default: bool) -> bool:
    text = values.get(name, str(default)).lower()
    if text not in TRUE + FALSE:
        raise InputError(f"{name} got {text!r}; it must be true or false.")
    return text in TRUE
