"""The memory of a sampling run, estimated before it starts."""

from dataclasses import dataclass

from .config import Preset
from .networks.pose_guider import build_pose_guider
from .networks.unet import UNet
from .types import Size

PIXELS_PER_LATENT = 8


@dataclass(frozen=True, kw_only=True)
class MemoryEstimate:
    """Estimated memory in bytes; all parts are needed at the same time."""

    weights: int  # denoiser, ReferenceNet and Pose Guider
    clip: int  # latents of the sampling state and pose pictures: grows with the number of frames
    working: int  # one call of the denoiser: grows with window length and picture size

    @property
    def total(self) -> int:
        """The sum of all parts."""
        return self.weights + self.clip + self.working


def estimate_memory(
    preset: Preset,
    *,
    frames: int,
    size: Size,
    window_frames: int,  # frames in one call of the denoiser, all windows of the call together
    rows: int,  # 2 with guidance, else 1
    value_bytes: int,  # 4 for float32, 2 for half precision
) -> MemoryEstimate:
    """Estimate the memory of sampling, without VAE, image encoder and libraries.

    The working memory is the feed-forward's widest layer at full resolution plus the skip
    connections: the largest tensors that exist at the same time.
    """
    unet = preset.unet
    networks = (
        UNet(unet, device="meta"),
        UNet(unet.reference(), device="meta"),
        build_pose_guider(preset.pose_guider, device="meta"),
    )
    weights = sum(p.numel() for network in networks for p in network.parameters())
    places = size.width * size.height // PIXELS_PER_LATENT**2
    latents = unet.in_channels * places * frames * 4
    pictures = 3 * size.width * size.height * frames
    width = unet.block_out_channels[0]
    widest = width * (2 * unet.ff_mult + unet.ff_mult + 4)
    skips = sum(
        channels * (unet.layers_per_block + 1) / 4**level
        for level, channels in enumerate(unet.block_out_channels)
    )
    working = rows * min(window_frames, frames) * places * (widest + skips)
    return MemoryEstimate(
        weights=weights * value_bytes,
        clip=6 * latents + pictures,
        working=round(working * value_bytes),
    )
