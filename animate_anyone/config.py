"""Configuration classes of networks and noise schedule; `weights/sets/` holds the presets."""

from dataclasses import dataclass, field, replace
from typing import Literal

from .errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class MotionConfig:
    """Temporal layers (paper, section 3.3; layout of AnimateDiff)."""

    max_frames: int = 32  # length of the positional table: the longest window allowed
    heads: int = 8
    attention_blocks: int = 2  # temporal self-attentions per layer
    norm_groups: int = 32
    ff_mult: int = 4  # width of the feed-forward relative to the channels
    mid_block: bool = True


@dataclass(frozen=True, kw_only=True)
class UNetConfig:
    """One UNet: the denoiser, or ReferenceNet. The defaults are Stable Diffusion 1.5."""

    in_channels: int = 4
    out_channels: int | None = 4  # None: no output head; the network returns features only
    block_out_channels: tuple[int, ...] = (320, 640, 1280, 1280)
    attention_levels: tuple[bool, ...] = (True, True, True, False)
    layers_per_block: int = 2
    heads: int = 8
    cross_attention_dim: int = 768
    norm_groups: int = 32
    ff_mult: int = 4
    motion: MotionConfig | None = None
    norm_over_frames: bool = False  # group norms of resnets share statistics over all frames
    position_code: float = 0.0  # gain of a 2-D sine code on self-attention inputs; 0: no code

    def __post_init__(self) -> None:
        if len(self.block_out_channels) != len(self.attention_levels):
            raise ConfigError(
                f"attention_levels got {len(self.attention_levels)} entries; it needs one per "
                f"level of block_out_channels {self.block_out_channels}."
            )
        for channels in self.block_out_channels:
            if channels % self.norm_groups or channels % self.heads:
                raise ConfigError(
                    f"block_out_channels got {channels}; it must be a multiple of norm_groups "
                    f"{self.norm_groups} and of heads {self.heads}."
                )

    def reference(self) -> "UNetConfig":
        """Return the ReferenceNet of this denoiser: no temporal layers, no output head."""
        return replace(self, motion=None, out_channels=None)


@dataclass(frozen=True, kw_only=True)
class PoseGuiderConfig:
    """The Pose Guider.

    `conv3` is the form of the public weights: 3x3 convolutions, output added after the denoiser's
    conv_in. `paper` is section 3.2 as written: four 4x4 stride-2 convolutions, output added to
    the noise latent.
    """

    form: Literal["conv3", "paper"] = "conv3"
    channels: tuple[int, ...] = (16, 32, 96, 256)
    out_channels: int = 320  # the denoiser's first width (conv3) or its latent channels (paper)


@dataclass(frozen=True, kw_only=True)
class ControlConfig:
    """A ControlNet. Its hint is a picture that matches the frame pixel by pixel."""

    unet: UNetConfig  # its encoder
    hint: PoseGuiderConfig  # the network that reads the hint; it has the Pose Guider's layout
    feeds: UNetConfig  # the denoiser; the ControlNet adds to its skip connections

    def __post_init__(self) -> None:
        if self.hint.out_channels != self.unet.block_out_channels[0]:
            raise ConfigError(
                f"hint got {self.hint.out_channels} out_channels; they are added to the encoder's "
                f"first features and must be {self.unet.block_out_channels[0]}."
            )


@dataclass(frozen=True, kw_only=True)
class ScheduleConfig:
    """Noise schedule, shared by both training stages and by sampling."""

    beta_schedule: Literal["linear", "scaled_linear"] = "linear"  # diffusers' names
    beta_start: float = 0.00085
    beta_end: float = 0.012
    train_timesteps: int = 1000
    prediction_type: Literal["epsilon", "v_prediction", "sample"] = "v_prediction"
    zero_snr: bool = True  # rescale so that the last timestep is pure noise
    spacing: Literal["trailing", "leading"] = "trailing"
    steps_offset: int = 0  # only for leading spacing


@dataclass(frozen=True, kw_only=True)
class Preset:
    """A known weight set: its networks, noise schedule and sampling defaults."""

    name: str
    title: str
    unet: UNetConfig
    pose_guider: PoseGuiderConfig
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    latent_scale: float = 0.18215  # factor on the autoencoder's latents
    window_frames: int = 24
    width: int = 512  # pixels
    height: int = 768  # pixels
    steps: int = 20
    guidance: float = 3.5
    licence: str = "unknown"
    # Skeletons are drawn the darker the less confident a point is; for weights trained on these.
    dimmed_poses: bool = False
