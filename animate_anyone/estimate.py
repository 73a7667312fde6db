"""The memory of a sampling run, estimated before it starts."""

from dataclasses import dataclass
from functools import cache

from .config import PoseGuiderConfig, Preset, UNetConfig
from .networks.call_memory import cache_bytes, places_of, reference_values, working_bytes
from .networks.pose_guider import build_pose_guider
from .networks.unet import UNet
from .types import Size


@dataclass(frozen=True, kw_only=True)
class MemoryEstimate:
    """Estimated memory in bytes; all parts are needed at the same time."""

    weights: int  # denoiser, ReferenceNet and Pose Guider
    clip: int  # latents of the sampling state and pose pictures: grows with the number of frames
    working: int  # one call of the denoiser: grows with window length and picture size
    cache: int = 0  # features that the step cache keeps: grows with the number of frames

    @property
    def total(self) -> int:
        """The sum of all parts."""
        return self.weights + self.clip + self.working + self.cache


def estimate_memory(
    preset: Preset,
    *,
    frames: int,
    size: Size,
    window_frames: int,  # frames in one call of the denoiser, all windows of the call together
    rows: int,  # 2 with guidance, else 1
    value_bytes: int,  # 4 for float32, 2 for half precision
    references: int = 1,  # pictures of the character
    per_person: bool = False,  # each of them shows another person of the clip
    cached_frames: int = 0,  # frames of all windows of a step together, if it has a step cache
) -> MemoryEstimate:
    """Estimate the memory of sampling, without VAE, image encoder and libraries."""
    unet = preset.unet
    weights = _parameters(unet, preset.pose_guider)
    latents = unet.in_channels * places_of(size) * frames * 4
    pictures = 3 * size.width * size.height * frames
    seen = min(window_frames, frames)
    more = reference_values(unet, places_of(size), seen)
    # For each person a frame's own keys and the person's stand beside each other a second time.
    further = references - 1 + (2 * references if per_person else 0)
    call = {"size": size, "rows": rows, "value_bytes": value_bytes}
    return MemoryEstimate(
        weights=weights * value_bytes,
        clip=6 * latents + pictures,
        working=working_bytes(unet, frames=seen, **call) + further * more * value_bytes,
        cache=cache_bytes(unet, frames=cached_frames, **call),
    )


@cache
def _parameters(unet: UNetConfig, pose_guider: PoseGuiderConfig) -> int:
    """Return the number of weights in denoiser, ReferenceNet and Pose Guider."""
    networks = (
        UNet(unet, device="meta"),
        UNet(unet.reference(), device="meta"),
        build_pose_guider(pose_guider, device="meta"),
    )
    return sum(p.numel() for network in networks for p in network.parameters())
