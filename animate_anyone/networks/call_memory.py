"""The memory of a call of the denoiser, and of the features that a step cache keeps."""

from ..config import UNetConfig
from ..types import Size

PIXELS_PER_LATENT = 8


def working_bytes(
    unet: UNetConfig,
    *,
    frames: int,  # of all windows of a call
    size: Size,
    rows: int,  # 2 with guidance, else 1
    value_bytes: int,
) -> int:
    """Return the memory of one call of the denoiser in bytes.

    It is the feed-forward's widest layer at full resolution plus the skip connections: the largest
    tensors that exist at the same time.
    """
    width = unet.block_out_channels[0]
    widest = width * (2 * unet.ff_mult + unet.ff_mult + 4)
    skips = sum(
        channels * (unet.layers_per_block + 1) / 4**level
        for level, channels in enumerate(unet.block_out_channels)
    )
    return round(rows * frames * places_of(size) * (widest + skips) * value_bytes)


def cache_bytes(
    unet: UNetConfig,
    *,
    frames: int,  # of all windows of a step, those that they share counted in each
    size: Size,
    rows: int,
    value_bytes: int,
) -> int:
    """Return the memory of the features that a step cache keeps, in bytes."""
    channels = unet.block_out_channels[:2][-1]
    return rows * frames * places_of(size) * channels * value_bytes


def places_of(size: Size) -> int:
    """Return the number of latent rows times columns of a picture of this size."""
    return size.width * size.height // PIXELS_PER_LATENT**2
