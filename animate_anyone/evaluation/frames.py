"""Metrics of generated frames against the true ones."""

import torch
from torch import Tensor


def psnr(
    result: Tensor,  # (f, 3, H, W), 0..1
    truth: Tensor,  # (f, 3, H, W), 0..1
) -> Tensor:  # (f,)
    """Return the peak signal-to-noise ratio of each frame in dB."""
    return -10 * (result - truth).square().mean((1, 2, 3)).clamp(min=1e-10).log10()


def psnr_inside(
    result: Tensor,  # (f, 3, H, W), 0..1
    truth: Tensor,  # (f, 3, H, W), 0..1
    mask: Tensor,  # (f, H, W), bool
) -> Tensor:  # (f,)
    """Return the peak signal-to-noise ratio in dB of the pixels inside a mask."""
    error = (result - truth).square().mean(1) * mask
    mean = error.sum((1, 2)) / mask.sum((1, 2)).clamp(min=1)
    return -10 * mean.clamp(min=1e-10).log10()


def ssim(
    result: Tensor,  # (f, 3, H, W), 0..1
    truth: Tensor,  # (f, 3, H, W), 0..1
) -> Tensor:  # (f,)
    """Return the structural similarity of each frame (Gaussian window of 11, sigma 1.5)."""
    from torchmetrics.functional.image import structural_similarity_index_measure

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
    """Return the share of the union of two masks that both have; 1 where both are empty."""
    both = (first & second).sum((1, 2))
    either = (first | second).sum((1, 2))
    return torch.where(either > 0, both / either.clamp(min=1), 1.0)


def flicker(
    result: Tensor,  # (f, 3, H, W), 0..1
    truth: Tensor,  # (f, 3, H, W), 0..1
) -> float:
    """Return how far changes from frame to frame are from the true ones, in levels of 255.

    The mean of |(x[t+1] - x[t]) - (y[t+1] - y[t])|: zero for a still error, large for noise that
    differs from frame to frame.
    """
    return float((result.diff(dim=0) - truth.diff(dim=0)).abs().mean() * 255)
