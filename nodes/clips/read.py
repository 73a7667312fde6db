"""Reading driving clips from IMAGE or VIDEO, frame by frame."""

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
from ...animate_anyone.media.pictures import Background
from ...animate_anyone.types import Size
from ..comfyui import convert
from .decode import video_file

CHUNK_FRAMES = 8  # of an IMAGE, turned into bytes at once


def mask_input(name: str) -> io.Input:
    """Return the input `mask`, for the transparency of an IMAGE."""
    return io.Mask.Input(
        "mask",
        optional=True,
        tooltip=f"The MASK of the Load Image node that gives {name}: where it is 1 the picture is "
        "transparent. Needed only for pictures with transparent parts.",
    )


def clip_inputs(what: str) -> list[io.Input]:
    """Return the inputs `image` and `video`; a user connects one of them."""
    return [
        io.Image.Input("image", optional=True, tooltip=f"{what} as pictures, one per frame."),
        io.Video.Input(
            "video",
            optional=True,
            tooltip=f"{what} as a clip, instead of image. It is read frame by frame, so a long "
            "clip needs no more memory.",
        ),
        mask_input("image"),
    ]


@dataclass(frozen=True)
class DrivingClip:
    """A clip: frames that are read one by one, and what is known before that."""

    frames: Iterator[np.ndarray]  # (H, W, 3), uint8
    total: int  # frames according to the file; a damaged file may have fewer
    size: Size
    fps: Fraction | None  # None: an IMAGE has no speed
    remarks: Callable[[int], tuple[str, ...]]  # from the number of frames read; for the report


@contextmanager
def driving_clip(
    image: Tensor | None,  # IMAGE
    video: VideoInput | None,
    mask: Tensor | None = None,  # MASK beside the IMAGE: 1 where it is transparent
    background: Background = "white",  # behind transparent parts; black for drawn skeletons
) -> Iterator[DrivingClip]:
    """Yield the clip of the connected input. Only a few frames are in memory at a time."""
    if (image is None) == (video is None):
        raise InputError(
            f"image and video got {'nothing' if image is None else 'both'}; connect the frames to "
            "one of them."
        )
    if mask is not None and image is None:
        raise InputError(
            "mask got a MASK, but video is connected instead of image; a video holds its own "
            "transparency. Disconnect mask."
        )
    with video_file(video) as path:
        if path is None:
            assert image is not None
            image = convert.with_mask(image, mask, "image")
            parts = convert.image_chunks(image, "image", CHUNK_FRAMES, background)
            frames = (frame for part in parts for frame in part)
            yield DrivingClip(frames, len(image), convert.image_size(image), None, lambda _: ())
            return
        from ...animate_anyone.media import clip_info, frames_of

        info = clip_info(path)
        yield DrivingClip(
            frames_of(info, background), info.frames, info.size, info.fps, info.remarks
        )


def in_chunks(
    frames: Iterator[np.ndarray],  # (H, W, 3)
    length: int,
) -> Iterator[np.ndarray]:  # (f', H, W, 3)
    """Yield frames stacked in chunks of up to `length`."""
    return map(np.stack, iter(lambda: list(islice(frames, length)), []))
