"""Checks of a clip's inputs and settings before anything is computed."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ..config import Preset
from ..diffusion.sampler_table import find_sampler
from ..diffusion.schedule import NoiseSchedule
from ..diffusion.step_cache import check_step_cache
from ..errors import InputError, WeightsError
from ..networks.condition import check_strengths
from ..types import Size
from .condition import ReferencePictures, pictures_of, tell_small
from .room import require_room_for_clip
from .settings import PIXELS_PER_LATENT, Networks, Sampling


def check_inputs(
    models: Networks,
    reference: ReferencePictures,
    poses: np.ndarray,
    sampling: Sampling,
    strengths: Sequence[float] | None = None,  # of the reference pictures; None: all 1
) -> None:
    """Check the inputs before anything is computed; WeightsError or InputError if invalid."""
    if models.autoencoder is None or models.image_encoder is None:
        missing = "autoencoder" if models.autoencoder is None else "image_encoder"
        raise WeightsError(
            f"{missing} got none; {models.preset.title} needs one. Add its file to the weights."
        )
    pictures = pictures_of(reference)
    check_strengths([1.0] * len(pictures) if strengths is None else strengths, len(pictures))
    for number, picture in enumerate(pictures, start=1):
        _check_picture(picture, "reference" if len(pictures) == 1 else f"reference {number}")
    if poses.ndim != 4 or poses.shape[3] != 3 or poses.dtype != np.uint8:
        raise InputError(
            f"poses got {poses.dtype} of shape {poses.shape}; they must be uint8 pictures "
            f"(frames, H, W, 3). Draw them with draw_pose."
        )
    size = Size(poses.shape[2], poses.shape[1])
    check_plan(models.preset, len(poses), size, sampling)
    like = next(models.denoiser.parameters())
    machine = (like.device, like.itemsize, models.autoencoder)
    require_room_for_clip(models.preset, len(poses), size, sampling, *machine)


def _check_picture(picture: Tensor, name: str) -> None:
    if picture.ndim != 4 or picture.shape[:2] != (1, 3) or not picture.numel():
        raise InputError(
            f"{name} got shape {tuple(picture.shape)}; it must be (1, 3, H, W), RGB. "
            f"Load it as a picture."
        )
    if not bool(torch.isfinite(picture).all()):
        raise InputError(
            f"{name} got NaN or infinite values; all must be finite. Load the picture again."
        )
    tell_small(picture, name)


def check_plan(preset: Preset, frames: int, size: Size, sampling: Sampling) -> None:
    """Check length, size and settings against a weight set; InputError if they do not fit."""
    if frames < 1:
        raise InputError("poses got 0 frames; a clip needs one or more. Choose a longer one.")
    if snap_size(size) != size:
        near = snap_size(size)
        raise InputError(
            f"size got {size.width}x{size.height}; both sides must be multiples of "
            f"{PIXELS_PER_LATENT}. Choose {near.width}x{near.height}."
        )
    motion, length = preset.unet.motion, min(sampling.windows.length, frames)
    if motion is not None and length > motion.max_frames:
        raise InputError(
            f"window got {length} frames; the motion modules of {preset.title} have positions for "
            f"{motion.max_frames}. Choose a window of {motion.max_frames} frames or fewer."
        )
    if not 1 <= sampling.guidance < math.inf:
        finite = "" if math.isfinite(sampling.guidance) else " and finite"
        usual = "as" if preset.guidance == 1 else f"or {preset.guidance:g} as"
        raise InputError(
            f"cfg got {sampling.guidance:g}; it must be 1 or more{finite}. Choose 1 to sample "
            f"without guidance, at half the cost, {usual} this weight set suggests."
        )
    NoiseSchedule(preset.schedule).timesteps(sampling.steps)
    check_step_cache(sampling.step_cache, sampling.steps)
    if sampling.guidance > 1:
        sampling.interval.steps(sampling.steps)
    for strength in (sampling.pose_strength, sampling.reference_strength):
        strength.check(sampling.steps)
    find_sampler(sampling.sampler)
    for name in ("windows_per_call", "frames_per_decode"):
        if getattr(sampling, name) < 1:
            raise InputError(f"{name} got {getattr(sampling, name)}; it must be 1 or more.")


def too_few_steps(
    steps: int,
    usual: int,  # of the weight set
) -> str | None:
    """Return in a sentence that a run has far fewer steps than its weights need, or None."""
    if steps * 4 >= usual:
        return None
    return (
        f"steps got {steps}, but these weights are made for {usual}; without a LoRA for few steps "
        "the result is blurred."
    )


def snap_size(size: Size) -> Size:
    """Return the nearest size whose sides are multiples of 8 pixels."""
    width, height = (
        max(1, round(side / PIXELS_PER_LATENT)) * PIXELS_PER_LATENT
        for side in (size.width, size.height)
    )
    return Size(width, height)
