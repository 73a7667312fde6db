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
