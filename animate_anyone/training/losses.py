"""What training minimises."""

from torch import Tensor


def weighted_error(
    output: Tensor,  # (b, c, f, h, w)
    target: Tensor,  # (b, c, f, h, w)
    masks: Tensor,  # (b, 1, f, h, w), 0..1
    figure_weight: float,
) -> Tensor:
    """Return the mean squared error in which the figure counts 1 + figure_weight times."""
    weights = 1 + figure_weight * masks
    error = (output.float() - target.float()).square()
    return (error * weights).sum() / (weights.sum() * output.shape[1])


def figure_error(output: Tensor, target: Tensor, masks: Tensor) -> float:
    """Return the mean squared error inside the figure alone: falls when training works."""
    error = (output.float() - target.float()).square().mean(1, keepdim=True)
    return float((error * masks).sum() / masks.sum().clamp(min=1))
