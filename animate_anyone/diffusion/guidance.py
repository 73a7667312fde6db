"""Classifier-free guidance."""

from torch import Tensor


def guide(
    unconditional: Tensor,
    conditional: Tensor,  # same shape
    scale: float,  # 1 is the conditional prediction alone; more follows the picture harder
) -> Tensor:
    """Return the prediction moved from the unconditional one past the conditional one."""
    if scale == 1:
        return conditional
    return unconditional + scale * (conditional - unconditional)
