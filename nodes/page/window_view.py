"""The windows of a clip, for the page to draw before sampling."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ...animate_anyone.diffusion.windows import WindowConfig, window_starts, window_weights
from ...animate_anyone.errors import InputError

MAX_FRAMES = 10_000  # more do not fit on a screen
MAX_WINDOW_LENGTH = 512  # frames; the limit of the nodes' inputs
MAX_STEPS = 10_000  # the limit of the nodes' inputs
MAX_DRAWN = 60  # as many rows as a panel has pixels
MAX_DIGITS = 9  # of a number in a request
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
    if not 1 <= steps <= MAX_STEPS:
        raise InputError(f"steps got {steps}; sampling needs 1 to {MAX_STEPS} steps.")
    starts, length = window_starts(frames, config), min(frames, config.length)
    numbers = (np.asarray(starts[:MAX_DRAWN])[:, None] + np.arange(length)) % frames
    shares = shares_of(starts, window_weights(length, config), frames)
    return {
        "frames": frames,
        "length": length,
        "count": len(starts),
        "steps": steps,
        "calls": len(starts) * steps,
        "moving": config.shift and len(starts) > 1,
        "windows": [
            {"frames": one.tolist(), "shares": shares[index].tolist()}
            for index, one in enumerate(numbers)
        ],
    }


def shares_of(
    starts: Sequence[int],  # first frame of each window
    weights: Sequence[float],  # of a window's frames
    frames: int,  # of the clip
    most: int = MAX_DRAWN,  # windows to describe
) -> np.ndarray:  # (most or fewer, length) 0..1
    """Return the share of each frame that comes from each of the first windows.

    The shares of a frame over all windows sum to 1. The sum of the weights at each frame is the
    convolution of the windows' starts with the weights of one window.
    """
    begins = np.bincount(np.asarray(starts) % frames, minlength=frames)
    spread = np.convolve(begins, weights)
    sums = spread[:frames].copy()
    sums[: len(spread) - frames] += spread[frames:]  # windows that go on at the clip's beginning
    numbers = (np.asarray(starts[:most])[:, None] + np.arange(len(weights))) % frames
    return np.round(np.asarray(weights) / sums[numbers], 3)


def _whole(values: Mapping[str, str], name: str, default: int) -> int:
    text = str(values.get(name, default))
    if len(text) > MAX_DIGITS:
        raise InputError(
            f"{name} got {text[:MAX_DIGITS]!r}... of {len(text)} characters; it must be a whole "
            f"number of at most {MAX_DIGITS} digits, for example {default}."
        )
    try:
        return int(text)
    except ValueError as error:
        raise InputError(
            f"{name} got {text!r}; it must be a whole number, for example {default}."
        ) from error


def _truth(values: Mapping[str, str], name: str, *, default: bool) -> bool:
    text = str(values.get(name, default)).lower()
    if text not in TRUE + FALSE:
        raise InputError(f"{name} got {text!r}; it must be true or false.")
    return text in TRUE
