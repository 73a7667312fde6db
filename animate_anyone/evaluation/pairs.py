"""Pairs of a character and a motion whose true clip is known, and the clips generated for them."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..animate import Networks, Sampling, animate
from ..types import PoseClip


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A character and a motion, with the true clip."""

    name: str
    reference: Tensor  # (p, 3, H, W), 0..1: one or more pictures of the character
    poses: np.ndarray  # (f, H, W, 3), uint8: the skeletons as drawn for the Pose Guider
    skeletons: PoseClip  # the same as keypoints, on a canvas of the clip's size
    truth: Tensor  # (f, 3, H, W), 0..1
    fps: float | None = None  # None: the motion has no speed of its own
    background: Tensor | None = None  # (3, H, W), 0..1: the truth without the figure, if known
    near: Tensor | None = None  # (f, H, W), bool: the figure and a few pixels around it
    group: str = ""  # of the test, if it has several: they get rows of their own
    further: tuple[Tensor, ...] = ()  # (1, 3, H, W) each: more pictures of the character


Fitting = Callable[[Tensor], Tensor]  # resizes frames (f, 3, H, W) to the compared size


@torch.no_grad()
def generate(
    models: Networks,
    pair: Pair,
    sampling: Sampling,
    fit: Fitting | None = None,  # applied to each chunk, so that no large clip is held as a whole
    *,
    further: bool = False,  # also from the pair's further pictures
) -> Tensor:  # (f, 3, H, W), 0..1, float32 on the CPU
    """Return the animated clip."""
    pictures = torch.cat([pair.reference, *(pair.further if further else ())])
    chunks = (x.float().cpu() for x in animate(models, pictures, pair.poses, sampling))
    return torch.cat([fit(chunk) if fit else chunk for chunk in chunks])


def still_clip(pair: Pair) -> Tensor:  # (f, 3, H, W)
    """Return the first reference as a still clip, the result of a model that does nothing."""
    return pair.reference[:1].expand_as(pair.truth)


@torch.no_grad()
def round_trip(
    models: Networks,
    frames: Tensor,  # (f, 3, H, W), 0..1
    fit: Fitting | None = None,  # applied to each chunk, as in `generate`
    frames_per_call: int = 8,  # limits the memory
) -> Tensor:  # (f, 3, H, W), 0..1, float32 on the CPU
    """Return frames encoded and decoded: an upper limit for any result."""
    assert models.autoencoder is not None
    coder = models.autoencoder
    chunks = (coder.decode(coder.encode(x)).float().cpu() for x in frames.split(frames_per_call))
    return torch.cat([fit(chunk) if fit else chunk for chunk in chunks])
