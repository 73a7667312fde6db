"""Moving pictures: GIF, WebP and APNG, with the time that each of their frames lasts."""

from collections.abc import Iterator
from fractions import Fraction
from itertools import accumulate
from pathlib import Path

import numpy as np
from PIL import Image

from .pictures import Background, first_frame, opened_picture, to_rgb
from .timing import Timing, timing_of

_BRIEF = 10  # ms; browsers show a frame that claims to last no longer than this for _INSTEAD
_INSTEAD = 100  # ms


def moving_timing(path: Path) -> Timing:
    """Return when the frames of a moving picture are shown."""
    times = []
    with opened_picture(path) as image:
        for _ in _frames(image):
            image.load()  # a WebP knows how long a frame lasts only then
            times.append(_seconds(image))
    stamps = list(accumulate(times[:-1], initial=Fraction(0)))
    even = [1 / times[0]] if len(set(times)) == 1 else []
    return timing_of(stamps, times[-1], even)


def moving_frames(
    path: Path, background: Background
) -> Iterator[tuple[Fraction, np.ndarray]]:  # seconds, and (H, W, 3) uint8 RGB
    """Yield the frames of a moving picture with their time stamps."""
    stamp = Fraction(0)
    with opened_picture(path) as image:
        for _ in _frames(image):
            yield stamp, to_rgb(image, path, background, quiet=stamp > 0)
            stamp += _seconds(image)


def _frames(image: Image.Image) -> Iterator[int]:
    for number in range(first_frame(image), getattr(image, "n_frames", 1)):
        image.seek(number)
        yield number


def _seconds(image: Image.Image) -> Fraction:
    brief = float(image.info.get("duration") or 0)
    return Fraction(_INSTEAD if brief <= _BRIEF else brief).limit_denominator(1000) / 1000
