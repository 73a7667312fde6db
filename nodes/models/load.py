"""Building networks from weight files, under the host's memory management."""

import json
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ...animate_anyone.config import Preset
from ...animate_anyone.errors import InputError
from ...animate_anyone.memory import require_memory
from ...animate_anyone.networks.pose_guider import build_pose_guider
from ...animate_anyone.networks.unet import UNet
from ...animate_anyone.weights.assign import cast_tensor, load_tensor
from ...animate_anyone.weights.detect import identify
from ...animate_anyone.weights.encoders import CLIP_MEAN, CLIP_STD, image_encoder_config
from ...animate_anyone.weights.load import reference_surplus, resolve_preset
from ...animate_anyone.weights.read import Weights, saved_by_comfyui
from ...animate_anyone.weights.report import check_keys, module_shapes
from ...animate_anyone.weights.sets.aa_mini import AA_MINI
from ...animate_anyone.weights.sources import Parts, WeightPaths, open_parts
from ..comfyui import convert, folders, host
from ..comfyui.attention import plain_attention
from ..comfyui.sockets import Network
from ..sampler.denoiser import AnimateAnyoneModel, ModelConfig
from ..sampler.windows import add_run_cache

Source = str | Path | WeightPaths | tuple[str | Path, ...]
DETECT = "files (detect the kind)"
BUILT_IN = "(none)"
RGB_FACTORS = "latent_rgb.json"  # file beside the weights: colours of latent channels, for previews


def source_of(preset: str, files: dict[str, str]) -> Source:
    """Return the weight set that consists of the chosen files."""
    chosen = {slot: folders.model_path(name) for slot, name in files.items() if name != BUILT_IN}
    if preset == AA_MINI.name:
        if set(chosen) == {"denoiser"} and saved_by_comfyui(chosen["denoiser"]):
            return (preset, chosen["denoiser"])
        if chosen:
            raise InputError(
                f"{' and '.join(chosen)} got a file, but preset {preset} comes with the pack; set "
                f"them to {BUILT_IN}, or choose the preset that the files belong to."
            )
        return preset
    if not chosen:
        raise InputError(
            f"denoiser got {BUILT_IN}; preset {preset!r} needs files in models/animate_anyone: "
            "choose a bundle there, or one file for each of denoiser, reference_net and "
            "pose_guider. To begin without a download choose aa-mini."
        )
    if set(chosen) == {"denoiser"}:
        return chosen["denoiser"]
    if absent := {"denoiser", "reference_net", "pose_guider"} - set(chosen):
        raise InputError(
            f"{' and '.join(sorted(absent))} got {BUILT_IN}; a weight set needs a denoiser, a "
            "reference_net and a pose_guider. Choose the missing file."
        )
    return WeightPaths(**chosen)


def load_networks(
    source: Source, preset_name: str | None, dtype: str
) -> tuple[host.ModelPatcher, Network, Network, Any, Any]:
    """Return denoiser, ReferenceNet, Pose Guider, VAE and CLIP vision model of a weight set.

    If the weight set has no VAE or CLIP vision model, that output stops the nodes connected to it.
    """
    parts = open_parts(source)
    preset = resolve_preset(parts, preset_name)
    if host.copies_weights():
        require_room(parts, dtype)
    report = host.progress(parts.tensors)
    parts = parts.watched(report)  # a bar, and a look whether the user has cancelled, per tensor
    networks = (
        denoiser_of(parts, preset, dtype, (source, preset_name, dtype)),
        load_reference_net(parts, preset, dtype),
        load_pose_guider(parts, preset, dtype),
        load_vae(parts, preset),
        load_clip_vision(parts, preset),
    )
    report(parts.tensors, parts.tensors)
    return networks


def require_room(parts: Parts, dtype: str) -> None:
    """Raise WeightsError if the memory that is free cannot hold these networks."""
    needed = 0
    for name, weights in parts.opened.items():
        stored = torch.float16  # of encoders, at least
        if name not in ("autoencoder", "image_encoder"):
            stored, _ = host.choose_dtypes(parameter_count(weights), dtype)
        needed += weights.bytes_as(stored)
    require_memory(needed, "weights", "Close other programs, or choose another dtype: fp16, fp8.")


def load_denoiser(
    source: Source, preset_name: str | None, dtype: str, *, disable_dynamic: bool = False
) -> host.ModelPatcher:
    """Return the denoiser of a weight set as a MODEL; no other network is loaded."""
    parts = open_parts(source)
    preset = resolve_preset(parts, preset_name)
    reload = (source, preset_name, dtype)
    return denoiser_of(parts, preset, dtype, reload, disable_dynamic=disable_dynamic)


def denoiser_of(
    parts: Parts,
    preset: Preset,
    dtype: str,
    reload: tuple[Source, str | None, str],  # with which the host calls `load_denoiser` again
    *,
    disable_dynamic: bool = False,
) -> host.ModelPatcher:
    """Return the denoiser of opened files as a MODEL."""
    expected = module_shapes(UNet(preset.unet, device="meta"))
    check_keys(expected, parts.denoiser, "a denoising UNet")
    config = ModelConfig(preset, rgb_factors(parts))
    config.set_inference_dtype(*host.choose_dtypes(parameter_count(parts.denoiser), dtype))
    model = AnimateAnyoneModel(config, preset)

    def put(owned: bool) -> None:
        fill(model.diffusion_model, parts.denoiser, model.get_dtype(), owned=owned)

    patcher = host.make_patcher(model, put, disable_dynamic=disable_dynamic)
    patcher.cached_patcher_init = (load_denoiser, reload)
    add_run_cache(patcher)
    return patcher


def load_reference_net(parts: Parts, preset: Preset, dtype: str) -> Network:
    """Return ReferenceNet, which runs once per picture."""
    expected = module_shapes(UNet(preset.unet.reference(), device="meta"))
    surplus = reference_surplus(preset.unet)
    check_keys(expected, parts.reference_net, "a ReferenceNet", surplus)
    weights = parts.reference_net.without(surplus)

    def build(**options: Any) -> nn.Module:
        return UNet(preset.unet.reference(), attention=plain_attention, **options)

    return _network(build, weights, preset, dtype)


def load_pose_guider(parts: Parts, preset: Preset, dtype: str) -> Network:
    """Return the Pose Guider, which runs once per clip, or once per window of a long one."""

    def build(**options: Any) -> nn.Module:
        return build_pose_guider(preset.pose_guider, **options)

    check_keys(module_shapes(build(device="meta")), parts.pose_guider, "a Pose Guider")
    return _network(build, parts.pose_guider, preset, dtype)


def _network(
    build: Callable[..., nn.Module], weights: Weights, preset: Preset, dtype: str
) -> Network:
    stored, compute = host.choose_dtypes(parameter_count(weights), dtype)
    module = build(operations=host.pick_operations(stored, compute), dtype=stored)
    module.eval().requires_grad_(False)

    def put(owned: bool) -> None:
        fill(module, weights, stored, owned=owned)

    return Network(host.make_patcher(module, put), preset, compute or stored)


def load_vae(parts: Parts, preset: Preset) -> Any:
    """Return the weight set's autoencoder as the host's VAE."""
    if parts.autoencoder is None:
        return host.blocked_output(
            f"vae got nothing: the weights of {preset.title} contain no autoencoder; connect a "
            "Load VAE node, for Stable Diffusion 1.5 networks sd-vae-ft-mse."
        )
    tensors = dict(parts.autoencoder)
    if identify(parts.autoencoder.shapes) == "autoencoder_tiny":
        tensors = convert.taesd_keys(tensors, preset.latent_scale)
    return host.build_vae(tensors)


def load_clip_vision(parts: Parts, preset: Preset) -> Any:
    """Return the weight set's image encoder as the host's CLIP vision model."""
    if parts.image_encoder is None:
        return host.blocked_output(
            f"clip_vision got nothing: the weights of {preset.title} contain no image encoder; "
            "connect a Load CLIP Vision node with CLIP ViT-L/14 of sd-image-variations."
        )
    config = image_encoder_config(parts.image_encoder) | {
        "model_type": "clip_vision_model",
        "num_channels": 3,
        "image_mean": CLIP_MEAN,
        "image_std": CLIP_STD,
    }
    with tempfile.TemporaryDirectory() as folder:  # the older host reads a file only
        path = Path(folder) / "config.json"
        path.write_text(json.dumps(config), encoding="utf-8")
        return host.build_clip_vision(path, parts.image_encoder)


def fill(module: nn.Module, weights: Weights, dtype: torch.dtype, *, owned: bool) -> None:
    """Load weights into a module; values that are not finite are an error.

    If the module has tensors already, they are overwritten one at a time. With dynamic VRAM its
    layers have none before loading, so all are loaded at once; with `owned` the module gets the
    file's own tensors instead of copies.
    """
    exact = dtype if dtype.itemsize > 1 else torch.float32
    state = module.state_dict()
    if not owned and set(weights) == set(state):
        for key, tensor in state.items():
            convert.overwrite(tensor, load_tensor(weights, key, exact, "cpu"))
        return
    tensors = {}
    for key, stored in weights.items():
        value = cast_tensor(stored, key, weights.source, exact, "cpu")  # checks the values, too
        tensors[key] = stored if owned else value
    module.load_state_dict(tensors, assign=owned)


def parameter_count(weights: Weights) -> int:
    """Return the number of parameters in a weight file."""
    return sum(torch.Size(shape).numel() for shape in weights.shapes.values())


def rgb_factors(parts: Parts) -> Mapping[str, Any]:
    """Return the latent channels' RGB factors from a file beside the weights, {} without one."""
    path = Path(parts.denoiser.source.split(" + ")[0]).with_name(RGB_FACTORS)
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
