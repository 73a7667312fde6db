"""Frames in, frames out: pictures, video files and folders of pictures."""

from .clips import ClipInfo, clip_info, frames_of
from .pictures import (
    contact_sheet,
    fit_frame,
    fit_picture,
    read_picture,
    spread,
    to_bytes,
    to_pixels,
    write_picture,
)
from .writer import VideoWriter

__all__ = [
    "ClipInfo",
    "VideoWriter",
    "clip_info",
    "contact_sheet",
    "fit_frame",
    "fit_picture",
    "frames_of",
    "read_picture",
    "spread",
    "to_bytes",
    "to_pixels",
    "write_picture",
]
