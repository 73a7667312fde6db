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
    frames: int,  # of all rows and windows of a call
    size: Size,
    value_bytes: int,
    fused: bool = False,  # a compiler may join operations, so that fewer results exist
    smaller_inside: bool = False,  # a patch may make the features after conv_in smaller
) -> int:
    """Return a lower bound for one call of the denoiser in bytes.

    When the first layer of a level on the way up begins, these exist: the features from below, the
    skip connection, both joined, and the joined ones normed and activated. A compiler needs to
    keep only the first two, and the last, which a convolution reads. Beside them there are the
    skip connections that are still to be used.
    """
    channels, layers = unet.block_out_channels, unet.layers_per_block
    if smaller_inside:
        return 2 * channels[0] * frames * places_of(size) * value_bytes
    width, height = size.width // PIXELS_PER_LATENT, size.height // PIXELS_PER_LATENT
    skips = most = 0  # numbers of a frame
    for level, count in enumerate(channels):
        places = width * height
        skips += (layers * count + channels[max(0, level - 1)]) * places
        below = channels[min(level + 1, len(channels) - 1)]
        joined = (below + count) * places
        most = max(most, skips - count * places + (2 if fused else 4) * joined)
        width, height = -(-width // 2), -(-height // 2)
    return most * frames * value_bytes


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
