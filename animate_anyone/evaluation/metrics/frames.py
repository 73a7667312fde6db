"""Metrics that compare generated frames with the true ones."""

import torch
from torch import Tensor

from ...errors import InputError, PackageError


def psnr(
    result: Tensor,  # (f, 3, H, W), 0..1
    truth: Tensor,  # (f, 3, H, W), 0..1
) -> Tensor:  # (f,)
    """Return the peak signal-to-noise ratio of each frame in dB, 100 at most.

    This is -10 log10 of the mean squared difference, computed in float32 or better.
    """
    result, truth = same_clip(result, truth)
    return -10 * (result - truth).square().mean((1, 2, 3)).clamp(min=1e-10).log10()


def psnr_uint8_legacy(
    result: Tensor,  # (f, 3, H, W), 0..1
    truth: Tensor,  # (f, 3, H, W), 0..1
) -> Tensor:  # (f,), float64
    """Return the value that this field's tables call PSNR; it is wrong, only for comparison.

    DisCo's evaluation, from which later papers took the 29 to 38 dB of their tables, subtracts
    and squares pictures as 8-bit integers (Wangt-CN/DisCo, issue 86). Both steps wrap modulo 256:
    a difference of 16 levels, or of any multiple of 16, counts as none, and 15 as 225. The mean
    of the wrapped squares cannot exceed 249, so no pair of pictures falls below 24.2 dB, and
    unrelated noise has 27.9 instead of 7.8. Equal frames count as 100 dB. Below 16 levels of
    difference everywhere it equals `psnr` of the rounded frames.
    """
    result, truth = same_clip(result, truth)
    levels = [(x.clamp(0, 1) * 255).round().to(torch.int64) for x in (result, truth)]
    wrapped = (levels[0] - levels[1]).square() % 256  # as 8 bits give: (d mod 256)^2 mod 256
    mean = wrapped.double().mean((1, 2, 3))
    return torch.where(mean > 0, 10 * (255**2 / mean).log10(), 100.0)


def same_clip(result: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
    """Return both clips in float32 or better; InputError if their shapes or types do not fit."""
    if result.shape != truth.shape or result.ndim != 4 or not len(result):
        raise InputError(
            f"result got shape {tuple(result.shape)} and truth {tuple(truth.shape)}; both must be "
            "(f, 3, H, W) with the same frames. Cut and resize one to the other."
        )
    if not (result.is_floating_point() and truth.is_floating_point()):
        raise InputError(
            f"result got {result.dtype} and truth {truth.dtype}; both must be floats in 0..1. "
            "Divide 8-bit frames by 255."
        )
    kind = torch.promote_types(torch.promote_types(result.dtype, truth.dtype), torch.float32)
    return result.to(kind), truth.to(kind)


def psnr_inside(
    result: Tensor,  # (f, 3, H, W), 0..1
    truth: Tensor,  # (f, 3, H, W), 0..1
    mask: Tensor,  # (f, H, W), bool
) -> Tensor:  # (f,)
    """Return the peak signal-to-noise ratio in dB of the pixels inside a mask."""
    result, truth = same_clip(result, truth)
    error = (result - truth).square().mean(1) * mask
    mean = error.sum((1, 2)) / mask.sum((1, 2)).clamp(min=1)
    return -10 * mean.clamp(min=1e-10).log10()


def ssim(
    result: Tensor,  # (f, 3, H, W), 0..1
    truth: Tensor,  # (f, 3, H, W), 0..1
) -> Tensor:  # (f,)
    """Return the structural similarity of each frame (Gaussian window of 11, sigma 1.5).

    Wang et al. 2004, per channel, biased covariance, averaged over the whole frame with a
    reflected border; DisCo's tables use grey frames and a flat window of 7 instead.
    """
    try:
        from torchmetrics.functional.image import structural_similarity_index_measure
    except ImportError as error:
        raise PackageError(
            "ssim needs torchmetrics, which is not installed; install it (pip install "
            "torchmetrics)."
        ) from error

    result, truth = same_clip(result, truth)
    values = structural_similarity_index_measure(result, truth, data_range=1.0, reduction="none")
    assert isinstance(values, Tensor)
    return values.reshape(-1)


def silhouette(
    frames: Tensor,  # (f, 3, H, W), 0..1
    background: Tensor,  # (3, H, W), 0..1
    threshold: float = 0.1,
) -> Tensor:  # (f, H, W), bool
    """Return where frames differ from a known background by more than a threshold."""
    return (frames - background).abs().amax(1) > threshold


def intersection_over_union(
    first: Tensor,  # (f, H, W), bool
    second: Tensor,  # (f, H, W), bool
) -> Tensor:  # (f,)
    """Return intersection over union of two masks per frame; 1 if both are empty."""
    both = (first & second).sum((1, 2))
    either = (first | second).sum((1, 2))
    return torch.where(either > 0, both / either.clamp(min=1), 1.0)
