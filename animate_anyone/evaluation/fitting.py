"""Frames and skeletons of any size, brought to the size at which a protocol compares them."""

from dataclasses import replace
from typing import Literal, get_args

from torch import Tensor
from torch.nn import functional

from ..errors import InputError
from ..media import fit_picture
from ..pose.stack import SLICES
from ..types import PoseClip, Size

Fit = Literal["pad", "crop"]  # all of the picture, its edges continued; or its middle
FITS: tuple[Fit, ...] = get_args(Fit)


def placement(canvas: Size, size: Size, fit: Fit) -> tuple[float, float, float]:
    """Return at which scale a canvas comes into a size, and where its left upper corner lies."""
    if fit not in FITS:
        raise InputError(f"fit got {fit!r}; it must be one of {', '.join(FITS)}. Choose pad.")
    ways = size.width / canvas.width, size.height / canvas.height
    scale = min(ways) if fit == "pad" else max(ways)
    left, top = (size.width - scale * canvas.width) / 2, (size.height - scale * canvas.height) / 2
    return scale, left, top


def fit_frames(
    frames: Tensor,  # (f, 3, H, W), 0..1
    size: Size,
    fit: Fit,
) -> Tensor:  # (f, 3, size.height, size.width)
    """Return frames at one scale and centred: whole with their edges continued, or cut to fill."""
    H, W = frames.shape[-2:]
    if fit == "pad" or Size(W, H) == size:
        return fit_picture(frames, size)
    scale = max(size.width / W, size.height / H)
    inner = (max(size.height, round(H * scale)), max(size.width, round(W * scale)))
    filled = functional.interpolate(frames, inner, mode="bicubic", antialias=True).clamp(0, 1)
    top, left = (inner[0] - size.height) // 2, (inner[1] - size.width) // 2
    return filled[..., top : top + size.height, left : left + size.width]


def fit_skeletons(clip: PoseClip, size: Size, fit: Fit) -> PoseClip:
    """Return skeletons where `fit_frames` puts the people that they belong to.

    Joints that are cut away count as not visible.
    """
    if clip.canvas == size:
        return clip
    scale, left, top = placement(clip.canvas, size, fit)
    parts = {}
    for name in SLICES:
        part = getattr(clip, name)
        xy = part.xy * scale + (left, top)
        inside = ((xy >= 0) & (xy <= [size.width, size.height])).all(-1)
        confidence = part.confidence * (inside | (fit == "pad"))
        parts[name] = replace(part, xy=xy, confidence=confidence)
    return PoseClip(canvas=size, **parts)
