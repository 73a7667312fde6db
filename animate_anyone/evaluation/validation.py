"""Validation while training: does the result follow the poses, and better than a still picture?"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import numpy as np
from torch import Tensor

from ..animate import Networks, Sampling
from ..errors import InputError
from ..pose.skeleton.part_boxes import Part
from ..types import PoseClip
from .metrics.frames import psnr, sharpness
from .metrics.lpips import LpipsNetwork
from .metrics.lpips import lpips as of_looks
from .metrics.motion import motion_error
from .metrics.parts import part_pck, part_psnr
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
    # Of hands and faces, by the names of METRICS, over the pairs that show them; see `parts`.
    parts: dict[str, float] = field(default_factory=dict)
    # LPIPS if its network was given, sharpness, and motion error of clips that move: by name.
    further: dict[str, float] = field(default_factory=dict)
    frames: list[Tensor]  # the generated clip of every pair, (f, 3, H, W), 0..1


def validate(
    models: Networks,
    pairs: Iterable[Pair],
    sampling: Sampling,  # pair i uses its seed + i
    pose: PoseReader | None,  # None: poses are not read
    lpips: LpipsNetwork | None = None,  # None: LPIPS is not measured
) -> Validation:
    """Return how well networks animate pairs, and the gain over a copy of the reference.

    The loss of a diffusion model becomes flat long before the model has learnt to follow a pose;
    these figures still improve then. InputError if there is no pair.
    """
    clips: list[Tensor] = []
    figures: list[tuple[float, ...]] = []
    parts: dict[str, list[float]] = {}
    further: dict[str, list[float]] = {}
    for index, pair in enumerate(pairs):
        clip = generate(models, pair, replace(sampling, seed=sampling.seed + index))
        still = still_clip(pair)
        found = None if pose is None else pose.read_pixels(clip)
        of_still = None if pose is None else pose.read_pixels(still)
        figures.append((*_figures(clip, pair, found), *_figures(still, pair, of_still)))
        for name, value in _of_parts(clip, pair, found).items():
            parts.setdefault(name, []).append(value)
        for name, value in _further(clip, pair, found, lpips).items():
            further.setdefault(name, []).append(value)
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
        parts={name: float(np.mean(values)) for name, values in sorted(parts.items())},
        further={name: float(np.mean(values)) for name, values in sorted(further.items())},
        frames=clips,
    )


def _of_parts(clip: Tensor, pair: Pair, found: PoseClip | None) -> dict[str, float]:
    """Return the figures of hands and faces that the pair's skeletons allow."""
    values: dict[str, float | None] = {}
    parts: tuple[Part, ...] = ("hand", "face")
    for part in parts:
        values[f"{part}_psnr"] = part_psnr(clip, pair.truth, pair.skeletons, part)
        if found is not None:
            values[f"{part}_pck"] = part_pck(found, pair.skeletons, part)
    return {name: value for name, value in values.items() if value is not None}


def _further(
    clip: Tensor,  # (f, 3, H, W)
    pair: Pair,
    found: PoseClip | None,  # the skeletons of the clip; None: poses are not read
    network: LpipsNetwork | None,
) -> dict[str, float]:
    """Return the figures of looks and motion that the pair and the networks allow."""
    values: dict[str, float | None] = {"sharpness": sharpness(clip, pair.truth)}
    if network is not None:
        values["lpips"] = float(of_looks(clip, pair.truth, network).mean())
    if found is not None:
        values["motion_error"] = motion_error(found, pair.skeletons)
    return {name: value for name, value in values.items() if value is not None}


def _figures(
    clip: Tensor,  # (f, 3, H, W)
    pair: Pair,
    found: PoseClip | None,  # the skeletons of the clip; None: poses are not read
) -> tuple[float, float, float]:
    """Return pose error, PCK and PSNR of a clip."""
    ratio = float(psnr(clip, pair.truth).mean())
    if found is None:
        return float("nan"), float("nan"), ratio
    return pose_error(found, pair.skeletons), pck(found, pair.skeletons), ratio
