"""What sampling a clip needs: the networks of a weight set, and the settings."""

from dataclasses import dataclass, field
from typing import Protocol

from torch import nn

from ..config import Preset
from ..diffusion.guidance import GuidanceInterval
from ..diffusion.sampler_table import USUAL_SAMPLER
from ..diffusion.strength import Strength
from ..diffusion.windows import WindowConfig
from ..networks.unet import UNet
from ..protocols import Autoencoder, ImageEncoder

PIXELS_PER_LATENT = 8


class Networks(Protocol):
    """The networks of one weight set, as `weights.load.Models` holds them."""

    preset: Preset
    denoiser: UNet
    reference_net: UNet
    pose_guider: nn.Module
    autoencoder: Autoencoder | None
    image_encoder: ImageEncoder | None


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How a clip is sampled."""

    steps: int = 20
    guidance: float = 3.5  # 1: none, at half the cost; higher: follow the reference more closely
    interval: GuidanceInterval = field(default_factory=GuidanceInterval)  # the guided steps
    step_cache: int = 1  # every so many steps are full, see `StepCache`; 1: all
    pose_strength: Strength = field(default_factory=lambda: Strength(of="pose"))
    reference_strength: Strength = field(default_factory=lambda: Strength(of="reference"))
    sampler: str = USUAL_SAMPLER
    seed: int = 0
    windows: WindowConfig = field(default_factory=WindowConfig)
    windows_per_call: int = 1  # higher values use the device better and need more memory
    shared_noise: float = 0.0  # 0..1, the part of the noise that all frames have in common
    repeat_noise: bool = False  # all windows start from the same noise, in shuffled order
    frames_per_decode: int = 8  # frames decoded together; limits the memory of decoding


def sampling_of(preset: Preset) -> Sampling:
    """Return a preset's default sampling."""
    overlap = min(4, preset.window_frames - 1)
    return Sampling(
        steps=preset.steps,
        guidance=preset.guidance,
        windows=WindowConfig(length=preset.window_frames, overlap=overlap),
    )
