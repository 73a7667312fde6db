"""The optimiser that a configuration names."""

import torch
from torch import nn

from ...errors import PackageError
from ..config import TrainingConfig


def build_optimizer(
    config: TrainingConfig, parameters: list[nn.Parameter]
) -> torch.optim.Optimizer:
    """Return AdamW, or AdamW with 8-bit state; PackageError if bitsandbytes is not installed."""
    betas = (0.9, config.second_moment)
    if config.optimizer == "adamw8bit":
        try:
            from bitsandbytes.optim import AdamW8bit
        except ImportError as error:
            raise PackageError(
                "optimizer got 'adamw8bit', which needs bitsandbytes; install it (pip install "
                "bitsandbytes), or choose 'adamw', which takes 6 bytes more per weight."
            ) from error
        return AdamW8bit(parameters, betas=betas, weight_decay=config.weight_decay)
    return torch.optim.AdamW(parameters, betas=betas, weight_decay=config.weight_decay, fused=True)
