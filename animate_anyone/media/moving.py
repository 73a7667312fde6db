"""Moving pictures: GIF, WebP and APNG, with the time that each of their frames lasts."""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import accumulate
from pathlib import Path

import av
import numpy as np
from PIL import Image, ImageOps

from ..errors import MediaError
from ..places import cannot_write, whole_file
from .files import name_for_ffmpeg
from .pictures import Background, first_frame, opened_picture, to_rgb
from .timing import Timing, timing_of

_BRIEF = 10  # ms; browsers show a frame that claims to last no longer than this for _INSTEAD
_INSTEAD = 100  # ms
_ORIENTATION = 0x0112  # tag of EXIF


def write_moving(
    path: Path,  # .webp, .gif or .png
    frames: Sequence[np.ndarray],  # (H, W, 3) uint8 RGB, one or more
    fps: float | Fraction,
) -> None:
    """Write a moving picture that plays forever. A failed write leaves no file."""
    first, *rest = (Image.fromarray(frame) for frame in frames)
    more = {"append_images": rest, "duration": round(1000 / fps), "loop": 0, "quality": 80}
    with whole_file(path, suffixed=True) as part:
        try:
            first.save(part, save_all=True, **more)
        except (ValueError, KeyError) as error:  # no format has this suffix, or PIL lacks it
            raise MediaError(cannot_write(path, error)) from error


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
        upright = image.getexif().get(_ORIENTATION, 1) == 1
        others = _by_ffmpeg(path) if _goes_back(image) else None
        for _ in _frames(image):
            shown = image if others is None else next(others, image)
            seconds = _seconds(image)
            if not upright:
                shown = ImageOps.exif_transpose(shown)
            yield stamp, to_rgb(shown, path, background, quiet=stamp > 0)
            stamp += seconds


def _goes_back(image: Image.Image) -> bool:
    """Return whether a frame of an APNG is to be replaced by the one before it.

    Pillow leaves such frames standing.
    """
    return image.format == "PNG" and any(image.info.get("disposal") == 2 for _ in _frames(image))


def _by_ffmpeg(path: Path) -> Iterator[Image.Image]:
    with av.open(name_for_ffmpeg(path), format="apng") as container:
        for frame in container.decode(video=0):
            yield Image.fromarray(frame.to_ndarray(format="rgba"))


def _frames(image: Image.Image) -> Iterator[int]:
    for number in range(first_frame(image), getattr(image, "n_frames", 1)):
        image.seek(number)
        yield number


def _seconds(image: Image.Image) -> Fraction:
    brief = float(image.info.get("duration") or 0)
    return Fraction(_INSTEAD if brief <= _BRIEF else brief).limit_denominator(1000) / 1000
