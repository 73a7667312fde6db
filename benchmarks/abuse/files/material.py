"""Small whole files: a weight set of random weights, pose networks, records, a run's settings."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import nn

from animate_anyone.config import MotionConfig, PoseGuiderConfig, Preset, ScheduleConfig, UNetConfig
from animate_anyone.networks.encoders.clip_vision import ClipVision, ClipVisionConfig
from animate_anyone.networks.pose_guider import build_pose_guider
from animate_anyone.networks.unet import UNet
from animate_anyone.weights.bundle import write_tensors
from animate_anyone.weights.presets import preset_metadata
from animate_anyone.weights.read import from_tensors
from animate_anyone.weights.sets.aa_mini import AA_MINI
from animate_anyone.weights.sources import MINI_FOLDER

TOKEN = 16  # numbers in an image token
ENCODER = {
    "image_size": 16,
    "patch_size": 8,
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "projection_dim": TOKEN,
    "hidden_act": "quick_gelu",
}


def tiny_preset() -> Preset:
    """Return a preset whose networks have two levels of 8 and 16 channels."""
    unet = UNetConfig(
        in_channels=4,
        out_channels=4,
        block_out_channels=(8, 16),
        attention_levels=(True, True),
        layers_per_block=1,
        heads=2,
        cross_attention_dim=TOKEN,
        norm_groups=4,
        ff_mult=1,
        motion=MotionConfig(max_frames=8, heads=2, attention_blocks=1, norm_groups=4, ff_mult=1),
    )
    return replace(
        AA_MINI,
        name="tiny",
        title="tiny",
        unet=unet,
        pose_guider=PoseGuiderConfig(channels=(4, 4, 4, 4), out_channels=8),
        schedule=ScheduleConfig(prediction_type="v_prediction"),
        window_frames=4,
        width=32,
        height=32,
        steps=2,
    )


def tiny_networks(preset: Preset, seed: int = 0) -> dict[str, nn.Module]:
    """Return networks of a preset with small random weights."""
    networks = {
        "denoiser": UNet(preset.unet),
        "reference_net": UNet(preset.unet.reference()),
        "pose_guider": build_pose_guider(preset.pose_guider),
    }
    generator = torch.Generator().manual_seed(seed)
    for network in networks.values():
        for value in network.parameters():
            value.data.normal_(0, 0.1, generator=generator)
    return networks


def write_tiny_bundle(path: Path) -> Path:
    """Write a whole weight set with its encoders into one file of about 300 KB."""
    from diffusers import AutoencoderTiny

    preset, widths = tiny_preset(), (8, 8, 8, 8)
    parts = tiny_networks(preset) | {
        "autoencoder": AutoencoderTiny(
            encoder_block_out_channels=widths, decoder_block_out_channels=widths
        ),
        "image_encoder": ClipVision(ClipVisionConfig(**ENCODER)),
    }
    tensors = {
        f"{name}.{key}": value.detach()
        for name, network in parts.items()
        for key, value in network.state_dict().items()
        if not key.endswith("position_ids")
    }
    weights = from_tensors(tensors, "tiny")
    metadata = preset_metadata(preset) | {"image_encoder": json.dumps(ENCODER)}
    write_tensors(path, [(key, weights, key) for key in tensors], metadata)
    return path


def write_server_bundle(path: Path, seed: int) -> Path:
    """Write a weight set with tiny networks and aa-mini's encoders, which ComfyUI's classes fit."""
    tiny = tiny_preset()
    encoder = json.loads((MINI_FOLDER / "image_encoder.json").read_text(encoding="utf-8"))
    width, channels = encoder["projection_dim"], AA_MINI.unet.in_channels
    unet = replace(
        tiny.unet, in_channels=channels, out_channels=channels, cross_attention_dim=width
    )
    preset = replace(tiny, unet=unet)
    tensors = {
        f"{name}.{key}": value.detach()
        for name, network in tiny_networks(preset, seed).items()
        for key, value in network.state_dict().items()
    }
    for name in ("autoencoder", "image_encoder"):
        own = load_file(MINI_FOLDER / f"{name}.safetensors")
        tensors |= {f"{name}.{key}": value for key, value in own.items()}
    weights = from_tensors(tensors, "tiny")
    metadata = preset_metadata(preset) | {"image_encoder": json.dumps(encoder)}
    write_tensors(path, [(key, weights, key) for key in tensors], metadata)
    return path


def write_pickles(folder: Path, bundle: Path) -> list[Path]:
    """Write the networks of a bundle as published ones are: a pickle for each, in both formats."""
    state, files = load_file(bundle), []
    for number, part in enumerate(("denoiser", "reference_net", "pose_guider")):
        own = {
            key.removeprefix(f"{part}."): value
            for key, value in state.items()
            if key.startswith(f"{part}.")
        }
        files.append(folder / f"{part}.pth")
        torch.save(own, files[-1], _use_new_zipfile_serialization=number != 2)
    return files


def small_config() -> dict[str, object]:
    """Return the settings of a run of training, as JSON."""
    from animate_anyone.training.recipes import get_recipe

    return json.loads(json.dumps(asdict(get_recipe("aa-mini", 1))))
