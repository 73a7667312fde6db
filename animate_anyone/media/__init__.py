"""Reading and writing pictures, video files and folders of pictures."""

from .clips import ClipInfo, clip_info, frames_of
from .fitting import fit_drawing, fit_frame, fit_picture
from .masks import ForegroundMask, with_alpha
from .moving import write_moving
from .pictures import (
    Background,
    check_picture_place,
    contact_sheet,
    picture_size,
    read_picture,
    spread,
    to_bytes,
    to_pixels,
    write_picture,
)
from .writer import VideoWriter

__all__ = [
    "Background",
    "ClipInfo",
    "ForegroundMask",
    "VideoWriter",
    "check_picture_place",
    "clip_info",
    "contact_sheet",
    "fit_drawing",
    "fit_frame",
    "fit_picture",
    "frames_of",
    "picture_size",
    "read_picture",
    "spread",
    "to_bytes",
    "to_pixels",
    "with_alpha",
    "write_moving",
    "write_picture",
]
