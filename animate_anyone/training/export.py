"""From the checkpoints of a run to the weight files that are shipped and loaded."""

import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from ..errors import WeightsError
from ..types import Size
from .autoencoder import wrap_autoencoder
from .checkpoints import averaged_networks, load_checkpoint
from .loop import IMAGE_ENCODER
from .previews import preview_colours


def export(folder: Path, target: Path) -> dict[str, int]:
    """Write the weights of a training folder in half precision; return the size of each file.

    The averages stand in for the trained values. Without a stage 2 the motion modules are absent.
    """
    autoencoder = load_checkpoint(folder / "autoencoder.pt")
    stage1 = load_checkpoint(folder / "stage1.pt")
    if autoencoder is None or stage1 is None:
        raise WeightsError(
            f"folder got {folder}; it needs autoencoder.pt and stage1.pt. Train those first."
        )
    refined = load_checkpoint(folder / "decoder.pt")
    values = dict(autoencoder["average"]["values"])
    if refined is not None:
        values |= {f"decoder.{key}": v for key, v in refined["average"]["values"].items()}
    stage2 = load_checkpoint(folder / "stage2.pt")
    states = averaged_networks(stage1)
    files = {
        "denoising_unet": states["denoiser"],
        "reference_unet": states["reference_net"],
        "pose_guider": states["pose_guider"],
        "image_encoder": states["image_encoder"],
        "autoencoder": values,
    }
    if stage2 is not None:
        temporal = averaged_networks(stage2)["denoiser"]
        files["motion_module"] = {k: v for k, v in temporal.items() if "motion_modules" in k}
    target.mkdir(parents=True, exist_ok=True)
    sizes = {}
    for name, state in files.items():
        path = target / f"{name}.safetensors"
        save_file({k: _half(v) for k, v in state.items()}, path, metadata={"format": "pt"})
        sizes[path.name] = path.stat().st_size
    (target / "image_encoder.json").write_text(json.dumps(IMAGE_ENCODER, indent=1) + "\n")
    colours = preview_colours(wrap_autoencoder(values), size=Size(128, 128))
    (target / "latent_rgb.json").write_text(json.dumps(colours) + "\n")
    return sizes


def _half(value: Tensor) -> Tensor:
    return value.to(torch.float16).contiguous() if value.is_floating_point() else value
