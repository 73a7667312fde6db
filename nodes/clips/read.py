"""Driving clips from IMAGE or VIDEO, frame by frame."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice

import numpy as np
from comfy_api.input import VideoInput
from comfy_api.latest import io
from torch import Tensor

from ...animate_anyone.errors import InputError
from ...animate_anyone.types import Size
from ..comfyui import convert
from .decode import video_file

CHUNK_FRAMES = 8  # of an IMAGE, turned into bytes at once


def clip_inputs(what: str) -> list[io.Input]:
    """Return the two inputs of which one takes a clip."""
    return [
        io.Image.Input("image", optional=True, tooltip=f"{what} as pictures, one per frame."),
        io.Video.Input(
            "video",
            optional=True,
            tooltip=f"{what} as a clip instead of image; it is read frame by frame, so that a long "
            "one needs no memory.",
        ),
    ]


@dataclass(frozen=True)
class DrivingClip:
    """Frames that are made as they are taken, and what is known before."""

    frames: Iterator[np.ndarray]  # (H, W, 3), uint8
    total: int  # as the file says; a damaged one may have fewer
    size: Size
    fps: Fraction | None  # None: an IMAGE has no speed
    remarks: Callable[[int], tuple[str, ...]]  # what to report once so many frames have come


@contextmanager
def driving_clip(
    image: Tensor | None,  # IMAGE
    video: VideoInput | None,
) -> Iterator[DrivingClip]:
    """Give the one of both that is connected. No more than a few frames are in memory."""
    if (image is None) == (video is None):
        raise InputError(
            f"image and video got {'nothing' if image is None else 'both'}; connect the frames to "
            "one of them."
        )
    with video_file(video) as path:
        if path is None:
            assert image is not None
            parts = convert.image_chunks(image, "image", CHUNK_FRAMES)
            frames = (frame for part in parts for frame in part)
            yield DrivingClip(frames, len(image), convert.image_size(image), None, lambda _: ())
            return
        from ...animate_anyone.media import clip_info, frames_of

        info = clip_info(path)
        yield DrivingClip(frames_of(path), info.frames, info.size, info.fps, info.remarks)


def in_chunks(
    frames: Iterator[np.ndarray],  # (H, W, 3)
    length: int,
) -> Iterator[np.ndarray]:  # (f', H, W, 3)
    """Yield frames some at a time."""
    return map(np.stack, iter(lambda: list(islice(frames, length)), []))
