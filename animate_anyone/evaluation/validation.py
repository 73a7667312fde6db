"""Validation while training: does the result follow the poses, and better than a still picture?"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from torch import Tensor

from ..animate import Networks, Sampling
from ..errors import InputError
from .metrics.frames import psnr
from .metrics.poses import pck, pose_error
from .pairs import Pair, generate, still_clip
from .pose_reader import PoseReader


@dataclass(frozen=True, kw_only=True)
class Validation:
    """Means over pairs; figures of poses are NaN where no poses were read."""

    pose_error: float  # torso lengths, 0..1; missed joints count as 1
    pck: float  # share of joints within a tenth of the torso
    psnr: float  # dB
    gain_psnr: float  # over copying the reference frame, dB
    gain_pck: float  # over copying the reference frame, share of joints
    frames: list[Tensor]  # the generated clip of every pair, (f, 3, H, W), 0..1


def validate(
    models: Networks,
    pairs: Iterable[Pair],
    sampling: Sampling,  # pair i uses its seed + i
    pose: PoseReader | None,  # None: poses are not read
) -> Validation:
    """Return how well networks animate pairs, and the gain over a copy of the reference.

    The loss of a diffusion model becomes flat long before the model has learnt to follow a pose;
    these figures still improve then. InputError if there is no pair.
    """
    clips: list[Tensor] = []
    figures: list[tuple[float, ...]] = []
    for index, pair in enumerate(pairs):
        clip = generate(models, pair, replace(sampling, seed=sampling.seed + index))
        figures.append((*_figures(clip, pair, pose), *_figures(still_clip(pair), pair, pose)))
        clips.append(clip)
    if not figures:
        raise InputError("pairs got none; validation needs one or more. Give held-out pairs.")
    error, share, ratio, _, still_share, still_ratio = np.mean(figures, axis=0).tolist()
    return Validation(
        pose_error=error,
        pck=share,
        psnr=ratio,
        gain_psnr=ratio - still_ratio,
        gain_pck=share - still_share,
        frames=clips,
    )


def _figures(clip: Tensor, pair: Pair, pose: PoseReader | None) -> tuple[float, float, float]:
    """Return pose error, PCK and PSNR of a clip, (f, 3, H, W)."""
    ratio = float(psnr(clip, pair.truth).mean())
    if pose is None:
        return float("nan"), float("nan"), ratio
    found = pose.read_pixels(clip)
    return pose_error(found, pair.skeletons), pck(found, pair.skeletons), ratio
