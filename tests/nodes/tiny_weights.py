"""Bundles of random weights, small enough for a test, in the layouts that real ones have."""

import json
from dataclasses import replace

import torch
from safetensors.torch import save_file

TOKEN = 32  # numbers in an image token
IMAGE_ENCODER = {
    "image_size": 32,
    "patch_size": 8,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "projection_dim": TOKEN,
    "hidden_act": "quick_gelu",
}

LAYOUTS = {
    "small": {
        "block_out_channels": (16, 32),
        "attention_levels": (True, False),
        "layers_per_block": 1,
    },
    # Blocks and ratios of widths as in Stable Diffusion 1.5.
    "public": {
        "block_out_channels": (16, 32, 64, 64),
        "attention_levels": (True, True, True, False),
        "layers_per_block": 2,
    },
}


def tiny_preset(core, prediction="v_prediction", latents=4, form="conv3", layout="small"):
    """Return a preset a hundredth of the usual size; `core` is the package under test."""
    config = core("config")
    motion = config.MotionConfig(max_frames=32, heads=2, attention_blocks=1, norm_groups=4)
    unet = config.UNetConfig(
        in_channels=latents,
        out_channels=latents,
        **LAYOUTS[layout],
        heads=2,
        cross_attention_dim=TOKEN,
        norm_groups=4,
        ff_mult=2,
        motion=motion,
        position_code=1.0 if prediction == "sample" else 0.0,
    )
    guider = config.PoseGuiderConfig(
        form=form,
        channels=(4, 8, 8, 16),
        out_channels=unet.block_out_channels[0] if form == "conv3" else latents,
    )
    return replace(
        core("weights.sets.aa_mini").AA_MINI,
        name="tiny",
        title="tiny test weights",
        unet=unet,
        pose_guider=guider,
        schedule=config.ScheduleConfig(prediction_type=prediction),
        latent_scale=0.18215 if latents == 4 else 1.0,
        width=64,
        height=64,
    )


def write_bundle(core, path, preset, networks, *, encoders=True, seed=0):
    """Write these networks of a preset, and random encoders, as one bundle file."""
    tensors = {
        f"{part}.{key}": value.contiguous()
        for part, module in networks.items()
        for key, value in module.state_dict().items()
    }
    if encoders:
        tensors |= _encoders(preset.unet.in_channels, seed)
    metadata = core("weights.presets").preset_metadata(preset)
    save_file(tensors, str(path), metadata | {"image_encoder": json.dumps(IMAGE_ENCODER)})
    return path


def random_networks(core, preset, seed=0):
    """Return networks whose every layer has an effect, also those that training starts at zero."""
    unet, guider = core("networks.unet").UNet, core("networks.pose_guider").build_pose_guider
    networks = {
        "denoiser": unet(preset.unet),
        "reference_net": unet(preset.unet.reference()),
        "pose_guider": guider(preset.pose_guider),
    }
    generator = torch.Generator().manual_seed(seed)
    for module in networks.values():
        core("networks.initialise").initialise(module, generator=generator)
        for name, value in module.named_parameters():
            if value.ndim > 1 and not value.any():
                value.data.normal_(0, 0.1, generator=generator)
            if name.endswith("bias"):
                value.data.normal_(0, 0.1, generator=generator)
    return networks


def _encoders(latents, seed):
    """Return a tiny autoencoder and image encoder made by the host's own classes."""
    import comfy.clip_model
    import comfy.ops
    from comfy.taesd.taesd import TAESD

    config = IMAGE_ENCODER | {"model_type": "clip_vision_model", "num_channels": 3}
    clip = comfy.clip_model.CLIPVisionModelProjection(
        config, torch.float32, "cpu", comfy.ops.disable_weight_init
    )
    generator = torch.Generator().manual_seed(seed)
    tensors = {}
    for key, value in TAESD(latent_channels=latents).state_dict().items():
        part, _, rest = key.removeprefix("taesd_").partition(".")
        number, _, rest = rest.partition(".")
        if rest:
            number = int(number) - (part == "decoder")
            name = f"autoencoder.{part}.layers.{number}.{rest}"
            tensors[name] = torch.randn(value.shape, generator=generator) / value[0].numel() ** 0.5
    for key, value in clip.state_dict().items():
        spread = 1.0 if value.ndim == 1 else value[0].numel() ** -0.5
        tensors[f"image_encoder.{key}"] = torch.randn(value.shape, generator=generator) * spread
    return tensors


def files(denoiser="(none)", **chosen):
    """Return what the Load Models node gets for these files."""
    none = dict.fromkeys(("motion", "reference_net", "pose_guider"), "(none)")
    return {"preset": "files (detect the kind)", "denoiser": denoiser, **none, **chosen}
