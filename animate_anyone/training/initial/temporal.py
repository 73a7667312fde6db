"""Start the temporal layers from AnimateDiff."""

import logging
from pathlib import Path

import torch
from torch import Tensor

from ...errors import ConfigError, WeightsError
from ...networks.position import frame_table
from ...networks.unet import UNet
from ...weights.read import Weights, from_tensors, read_weights
from ...weights.report import Shapes, check_keys, module_shapes
from ...weights.sources import require_kind
from .fill import fill, is_temporal

logger = logging.getLogger(__name__)


def from_animatediff(
    denoiser: UNet,
    path: str | Path,  # motion module file in its original layout
) -> None:
    """Load a motion module file into the denoiser's temporal layers; other layers stay.

    With a file without a middle module (the first version), the denoiser's middle module stays
    unchanged and a warning is logged. For position tables of another length see `fitted_table`.
    """
    weights = read_weights(path)
    require_kind(weights, "motion")
    if denoiser.config.motion is None:
        raise ConfigError(
            f"denoiser got no temporal layers, but {path} holds weights for them; build the "
            "denoiser of stage 2."
        )
    fitted, keys = motion_weights(denoiser, weights)
    fill(denoiser, fitted, keys)
    logger.info("Started the temporal layers from %s", weights.source)


def motion_weights(denoiser: UNet, weights: Weights) -> tuple[Weights, Shapes]:
    """Return the temporal layers of a file with fitted position tables, and the keys to load."""
    expected = {key: s for key, s in module_shapes(denoiser).items() if is_temporal(key)}
    modules = weights.renamed({key: key for key in weights if is_temporal(key)})
    if not any(key.startswith("mid_block.") for key in modules):
        untouched = {key for key in expected if key.startswith("mid_block.")}
        expected = {key: shape for key, shape in expected.items() if key not in untouched}
        if untouched:
            logger.warning(
                "%s has no temporal layer for the middle block (first version); that of the "
                "denoiser starts untrained",
                weights.source,
            )
    tables = {key: modules[key] for key in expected if key in modules and _is_table(key)}
    fitting = {
        key: fitted_table(table, expected[key][1], weights.source)
        for key, table in tables.items()
        if table.ndim == 3 and table.shape[2] == expected[key][2]
    }
    fitted = modules.updated(from_tensors(fitting, weights.source))
    check_keys(expected, fitted, "a motion module file")
    _warn_about_longer_tables(expected, modules)
    return fitted, expected


def fitted_table(
    stored: Tensor,  # (1, n, c), the positions of n frames
    frames: int,  # rows that the denoiser has
    source: str,  # file name, for messages
) -> Tensor:  # (1, frames, c)
    """Return a table of frame positions with as many rows as the denoiser has.

    A longer table is cut, because row i stands for frame i at any length. A shorter one is
    continued only if it is the sine table, whose further rows are known; WeightsError for a shorter
    table that was trained.
    """
    known, channels = stored.shape[1:]
    if known >= frames:
        return stored[:, :frames]
    table = frame_table(frames, channels)
    if not torch.allclose(stored.float(), table[:, :known], atol=1e-2):
        raise WeightsError(
            f"{source} has trained positions of {known} frames; the denoiser has {frames}, and "
            f"further positions are unknown. Train with a motion table of {known} frames."
        )
    return table


def _warn_about_longer_tables(expected: Shapes, modules: Weights) -> None:
    pairs = {(modules.shapes[key][1], expected[key][1]) for key in expected if _is_table(key)}
    for known, frames in sorted(pairs):
        if frames > known:
            logger.warning(
                "%s was trained on clips of up to %d frames; its sine table is continued to %d",
                *(modules.source, known, frames),
            )


def _is_table(key: str) -> bool:
    return key.endswith("pos_encoder.pe")
