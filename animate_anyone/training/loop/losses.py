"""What training minimises."""

import torch
from torch import Tensor

from ...diffusion.schedule import NoiseSchedule


def weighted_error(
    output: Tensor,  # (b, c, f, h, w)
    target: Tensor,  # (b, c, f, h, w)
    weights: Tensor,  # (b, 1, f, h, w)
    scale: Tensor | None = None,  # (b, f): of each frame's error, after the weights are normalised
) -> Tensor:
    """Return the mean squared error under weights that are normalised per example.

    Per example, so that the mean over the parts of a batch is that of the whole.
    """
    error = (output.float() - target.float()).square() * weights
    if scale is not None:
        error = error * scale[:, None, :, None, None]
    total = weights.sum((1, 2, 3, 4)) * output.shape[1]
    return (error.sum((1, 2, 3, 4)) / total).mean()


def figure_weights(
    masks: Tensor | None,  # (b, 1, f, h, w), 0..1
    like: Tensor,  # (b, c, f, h, w)
    figure_weight: float,
) -> Tensor:  # (b, 1, f, h, w)
    """Return weights under which the figure counts 1 + figure_weight times, if masks tell it."""
    if masks is None:
        return torch.ones_like(like[:, :1])
    return 1 + figure_weight * masks


def min_snr_scale(
    schedule: NoiseSchedule,
    timesteps: Tensor,  # (b, f)
    gamma: float,  # 5 is usual
) -> Tensor:  # (b, f)
    """Return min-SNR weights of each frame's error (arXiv 2303.09556, section 3.4).

    The error of the clean picture counts min(SNR, gamma) times; one of v or of the noise is larger
    than that by SNR + 1 or SNR, so it counts as much less.
    """
    snr = schedule.snr(timesteps)
    clipped = snr.clamp(max=gamma)
    if schedule.config.prediction_type == "sample":
        return clipped
    if schedule.config.prediction_type == "v_prediction":
        return clipped / (snr + 1)
    return torch.where(snr > gamma, gamma / snr, 1.0)  # 1 as well where nothing but noise is left


def difference_error(
    output: Tensor,  # (b, c, f, h, w)
    target: Tensor,  # (b, c, f, h, w)
) -> Tensor:
    """Return the mean squared error of the changes from frame to frame; 0 for a single frame.

    An error that stays still costs nothing here, one that flickers counts twice: what temporal
    layers alone can mend.
    """
    if output.shape[2] < 2:
        return output.float().sum() * 0
    return (output.float().diff(dim=2) - target.float().diff(dim=2)).square().mean()


def figure_error(output: Tensor, target: Tensor, masks: Tensor) -> float:
    """Return the mean squared error inside the figure alone: falls when training works."""
    error = (output.float() - target.float()).square().mean(1, keepdim=True)
    return float((error * masks).sum() / masks.sum().clamp(min=1))
