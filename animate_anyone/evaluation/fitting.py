"""Frames and skeletons of any size, brought to the size at which a protocol compares them."""

from dataclasses import replace
from typing import Literal

from torch import Tensor
from torch.nn import functional

from ..media import fit_picture
from ..pose.stack import SLICES
from ..types import PoseClip, Size


def fit_frames(
    frames: Tensor,  # (f, 3, H, W), 0..1
    size: Size,
    fit: Literal["pad", "crop"],
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


def fit_skeletons(clip: PoseClip, size: Size, fit: Literal["pad", "crop"]) -> PoseClip:
    """Return skeletons where `fit_frames` puts the people that they belong to.

    Joints that are cut away count as not visible.
    """
    if clip.canvas == size:
        return clip
    ratios = (size.width / clip.canvas.width, size.height / clip.canvas.height)
    scale = min(ratios) if fit == "pad" else max(ratios)
    shift = [
        (size.width - scale * clip.canvas.width) / 2,
        (size.height - scale * clip.canvas.height) / 2,
    ]
    parts = {}
    for name in SLICES:
        part = getattr(clip, name)
        xy = part.xy * scale + shift
        inside = ((xy >= 0) & (xy <= [size.width, size.height])).all(-1)
        confidence = part.confidence * (inside | (fit == "pad"))
        parts[name] = replace(part, xy=xy, confidence=confidence)
    return PoseClip(canvas=size, **parts)
