"""Classifier-free guidance."""

from torch import Tensor


def guide(
    unconditional: Tensor,
    conditional: Tensor,  # same shape
    scale: float,  # 1: the conditional prediction alone; higher: follow the picture more closely
) -> Tensor:
    """Return the guided prediction: unconditional + scale * (conditional - unconditional)."""
    if scale == 1:
        return conditional
    return unconditional + scale * (conditional - unconditional)
