"""The memory of a call of the denoiser, of more references, and of a step cache's features."""

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
    tensors that exist at the same time. One reference is within it; `reference_values` is what each
    more adds.
    """
    width = unet.block_out_channels[0]
    widest = width * (2 * unet.ff_mult + unet.ff_mult + 4)
    skips = sum(
        channels * (unet.layers_per_block + 1) / 4**level
        for level, channels in enumerate(unet.block_out_channels)
    )
    return round(rows * frames * places_of(size) * (widest + skips) * value_bytes)


def least_working_bytes(
    unet: UNetConfig,
    *,
    frames: int,  # of one window
    size: Size,
    value_bytes: int,
    smaller_inside: bool = False,  # a patch may make the features after conv_in smaller
) -> int:
    """Return a lower bound for one call of the denoiser in bytes.

    When the middle block runs, all skip connections of one row exist at once, and its own features.
    """
    channels, layers = unet.block_out_channels, unet.layers_per_block
    if smaller_inside:
        return 2 * channels[0] * frames * places_of(size) * value_bytes
    width, height = size.width // PIXELS_PER_LATENT, size.height // PIXELS_PER_LATENT
    numbers = channels[0] * width * height
    for level, count in enumerate(channels):
        numbers += layers * count * width * height
        if level < len(channels) - 1:
            width, height = -(-width // 2), -(-height // 2)
            numbers += count * width * height
    numbers += channels[-1] * width * height
    return numbers * frames * value_bytes


def reference_values(
    unet: UNetConfig,
    places: int,  # of the latents: tokens of the picture at full resolution
    frames: int,  # in one call of the denoiser, of the rows that attend to the reference
) -> int:
    """Return how many numbers one more reference picture adds while sampling.

    Its features, keys and values of all blocks are kept for the whole run. In a block its keys
    and values stand beside those of every frame, which is most at full resolution.
    """
    levels = range(len(unet.block_out_channels))
    blocks = [(2 * unet.layers_per_block + 1) * unet.attention_levels[level] for level in levels]
    blocks[-1] += 1  # the middle block
    kept = sum(
        3 * count * width * -(-places // 4**level)
        for level, (count, width) in enumerate(zip(blocks, unet.block_out_channels, strict=True))
    )
    widest = max(
        width * -(-places // 4**level)
        for level, (count, width) in enumerate(zip(blocks, unet.block_out_channels, strict=True))
        if count
    )
    return kept + 2 * frames * widest


def cache_bytes(
    unet: UNetConfig,
    *,
    frames: int,  # of all windows of a step, those that they share counted in each
    size: Size,
    rows: int,
    value_bytes: int,
) -> int:
    """Return the memory of the features that a step cache keeps, in bytes."""
    return rows * frames * places_of(size) * unet.block_out_channels[0] * value_bytes


def places_of(size: Size) -> int:
    """Return the number of latent rows times columns of a picture of this size."""
    return size.width * size.height // PIXELS_PER_LATENT**2
