"""Golden folders: numbers that the public implementation computed, with its configuration."""

import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from ..config import MotionConfig, PoseGuiderConfig, ScheduleConfig, UNetConfig
from ..errors import ConfigError, WeightsError
from ..networks.pose_guider import build_pose_guider
from ..networks.unet import UNet
from ..weights.detect import reference_surplus
from .public import UniformWindows

# Settings that our networks have built in. A folder with other values is refused.
UNET_FIXED = {
    "norm_eps": 1e-5,
    "act_fn": "silu",
    "downsample_padding": 1,
    "mid_block_scale_factor": 1,
    "center_input_sample": False,
    "flip_sin_to_cos": True,
    "freq_shift": 0,
}
ADDITIONAL_FIXED = {
    "unet_use_cross_frame_attention": False,
    "unet_use_temporal_attention": False,
    "motion_module_decoder_only": False,
    "motion_module_type": "Vanilla",
}
MOTION_FIXED = {
    "num_transformer_block": 1,
    "temporal_position_encoding": True,
    "temporal_attention_dim_div": 1,
}


@dataclass(frozen=True, kw_only=True)
class SamplingConfig:
    """Arguments of the public long-clip pipeline."""

    frames: int
    steps: int
    guidance: float
    windows: UniformWindows
    step_argument: int  # what its window scheduler gets in place of the step's index


@dataclass(frozen=True, kw_only=True)
class Networks:
    """The three networks, with the folder's weights."""

    denoiser: UNet
    reference_net: UNet
    pose_guider: nn.Module


class GoldenFolder:
    """A folder in the layout of tests/golden (its README names every tensor)."""

    def __init__(self, folder: Path, device: str = "cpu") -> None:
        self.folder, self.device = folder, device
        self._config = self.read_json("config.json")

    def read_json(self, name: str) -> Any:  # noqa: ANN401  a JSON document
        """Return the content of a JSON file."""
        try:
            return json.loads((self.folder / name).read_text())
        except (OSError, ValueError) as error:
            raise WeightsError(
                f"{name} got {self.folder}; it cannot be read ({error}). Give a folder that holds "
                "config.json, context_windows.json and the .safetensors files."
            ) from error

    def read(self, name: str) -> dict[str, Tensor]:
        """Return the tensors of a file, half precision as float32."""
        path = self.folder / f"{name}.safetensors"
        try:
            tensors = load_file(path, device=self.device)
        except (OSError, SafetensorError) as error:
            raise WeightsError(
                f"{path.name} got {path}; it cannot be read ({error}). Copy the folder again."
            ) from error
        return {key: t.float() if t.dtype == torch.float16 else t for key, t in tensors.items()}

    def unet(self) -> UNetConfig:
        """Return the denoiser's configuration."""
        unet, extra = self._section("unet_config"), self._section("unet_additional_kwargs")
        _refuse_other(unet, UNET_FIXED)
        _refuse_other(extra, ADDITIONAL_FIXED)
        down = [name.startswith("CrossAttn") for name in unet["down_block_types"]]
        up = [name.startswith("CrossAttn") for name in unet["up_block_types"]]
        if down != up[::-1]:
            raise ConfigError(
                f"up_block_types got {unet['up_block_types']}; attention must lie at the levels "
                f"where down_block_types {unet['down_block_types']} have it."
            )
        return UNetConfig(
            in_channels=unet["in_channels"],
            out_channels=unet["out_channels"],
            block_out_channels=tuple(unet["block_out_channels"]),
            attention_levels=tuple(down),
            layers_per_block=unet["layers_per_block"],
            heads=unet["attention_head_dim"],  # Stable Diffusion's name for the count of heads
            cross_attention_dim=unet["cross_attention_dim"],
            norm_groups=unet["norm_num_groups"],
            motion=_motion(extra) if extra.get("use_motion_module") else None,
            norm_over_frames=not extra.get("use_inflated_groupnorm", False),
        )

    def pose_guider(self) -> PoseGuiderConfig:
        """Return the Pose Guider's configuration."""
        section = self._section("pose_guider")
        return PoseGuiderConfig(
            channels=tuple(section["block_out_channels"]),
            out_channels=section["conditioning_embedding_channels"],
        )

    def schedule(self) -> ScheduleConfig:
        """Return the noise schedule; settings that DDIM does not use are left out."""
        section = self._section("noise_scheduler_kwargs")
        names = {"zero_snr": "rescale_betas_zero_snr", "spacing": "timestep_spacing"}
        names["train_timesteps"] = "num_train_timesteps"
        known = {field.name: names.get(field.name, field.name) for field in fields(ScheduleConfig)}
        return ScheduleConfig(
            **{ours: section[theirs] for ours, theirs in known.items() if theirs in section}
        )

    def sampling(self) -> SamplingConfig:
        """Return the arguments of the sampling run."""
        section = self._section("sampling")
        if section.get("eta") or section["context_schedule"] != "uniform":
            raise ConfigError(
                f"sampling got eta {section.get('eta')} and context_schedule "
                f"{section['context_schedule']!r}; parity is defined for eta 0 and 'uniform'."
            )
        return SamplingConfig(
            frames=section["frames"],
            steps=section["steps"],
            guidance=section["guidance"],
            windows=public_windows(section),
            step_argument=section.get("schedule_step_argument", 0),
        )

    @torch.no_grad()
    def networks(self) -> Networks:
        """Return the three networks with their weights, in float32."""
        unet = self.unet()
        reference_net = UNet(unet.reference(), device=self.device)
        weights = self.read("reference_unet")
        unused = reference_surplus(unet)
        networks = Networks(
            denoiser=UNet(unet, device=self.device),
            reference_net=reference_net,
            pose_guider=build_pose_guider(self.pose_guider(), device=self.device),
        )
        _load(networks.denoiser, self.read("denoising_unet"), "denoising_unet")
        _load(
            reference_net,
            {key: value for key, value in weights.items() if key not in unused},
            "reference_unet",
        )
        _load(networks.pose_guider, self.read("pose_guider"), "pose_guider")
        return networks

    def _section(self, name: str) -> dict[str, Any]:
        if name not in self._config:
            raise ConfigError(f"config.json got no {name!r}; it must hold {name!r}.")
        return self._config[name]


def public_windows(
    arguments: dict[str, Any],  # context_stride and so on, as the public pipeline names them
) -> UniformWindows:
    """Return the windows of the public implementation's "uniform" scheduler."""
    size = "context_size" if "context_size" in arguments else "context_frames"
    return UniformWindows(
        length=arguments[size],
        overlap=arguments["context_overlap"],
        loop=arguments["closed_loop"],
        stride=arguments["context_stride"],
    )


def _motion(extra: dict[str, Any]) -> MotionConfig:
    section = extra["motion_module_kwargs"]
    _refuse_other(section, MOTION_FIXED)
    return MotionConfig(
        max_frames=section["temporal_position_encoding_max_len"],
        heads=section["num_attention_heads"],
        attention_blocks=len(section["attention_block_types"]),
        mid_block=extra.get("motion_module_mid_block", False),
    )


def _refuse_other(section: dict[str, Any], fixed: dict[str, Any]) -> None:
    for name, value in fixed.items():
        if section.get(name, value) != value:
            raise ConfigError(
                f"{name} got {section[name]!r}; our networks have {value!r} only, so the numbers "
                "cannot be compared."
            )


def _load(network: nn.Module, weights: dict[str, Tensor], name: str) -> None:
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        raise WeightsError(
            f"{name} got weights that do not fit config.json: {error}. Give the folder's own files."
        ) from error
