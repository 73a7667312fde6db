"""Export a run's folder as weight files."""

import json
import logging
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from ..config import Preset
from ..errors import WeightsError
from ..places import check_folder, owned, whole_file
from ..weights.bundle import save_weights
from ..weights.sets.table import get_preset
from .config import TrainingConfig, scheduled
from .networks import IMAGE_ENCODER, read_stage
from .trainable.low_rank import LORA, joined
from .trained import AUTOENCODER

log = logging.getLogger(__name__)

MOTION = "motion_module"
# Files that loading recognises, and the module of `AnimateNetworks` that each holds.
WEIGHT_FILES = {
    "denoising_unet": "denoiser",
    "reference_unet": "reference_net",
    "pose_guider": "pose_guider",
    "image_encoder": "image_encoder",
}


def export(
    folder: Path,
    target: Path,
    *,
    merged: bool = False,  # of a LoRA run: the whole networks with the LoRA added, not the LoRA
) -> dict[str, int]:
    """Write the weights of a training folder in half precision; return the size of each file.

    A run that trained nothing but LoRAs gives `lora.safetensors` in full precision, which does
    what its stages do together.
    Averaged weights are used if the run kept them. Without a stage 2 there are no motion modules.
    Every file holds the preset with the trained schedule in its metadata. Frozen encoders are not
    written; load them from their own files.
    InputError while another process writes there: the files of two runs would be mixed.
    """
    check_folder(target, create=False)
    config, state = read_stage(folder)
    if config.variant != "reference_net":
        raise WeightsError(
            f"folder got {folder}, a run of the variant {config.variant!r}; weight files hold a "
            "ReferenceNet. Export a run of the variant 'reference_net'; to measure this one, give "
            "its folder to evaluate --models."
        )
    if not merged and (loras := _loras(folder)):
        with owned(target):
            save_weights(target / LORA, joined(loras), dtype=torch.float32)
            _copy_logs(folder, target)
        return {LORA: (target / LORA).stat().st_size}
    preset = scheduled(get_preset(config.preset), config)
    files = {name: _part(state, prefix) for name, prefix in WEIGHT_FILES.items()}
    denoiser = files["denoising_unet"]
    files["denoising_unet"] = {k: v for k, v in denoiser.items() if "motion_modules" not in k}
    files[MOTION] = {k: v for k, v in denoiser.items() if "motion_modules" in k}
    own = folder / AUTOENCODER
    files["autoencoder"] = load_file(own) if own.is_file() else {}
    with owned(target):
        sizes = _written(files, target, preset)
        _copy_logs(folder, target)
    return sizes


def _written(
    files: Mapping[str, dict[str, Tensor]], target: Path, preset: Preset
) -> dict[str, int]:  # bytes by name
    """Write the files that have tensors; warn of one of an earlier run beside them."""
    sizes = {}
    for name, tensors in files.items():
        if tensors:
            path = target / f"{name}.safetensors"
            save_weights(path, tensors, preset, torch.float16)
            sizes[path.name] = path.stat().st_size
    if files["image_encoder"]:
        config = asdict(IMAGE_ENCODER) | {"model_type": "clip_vision_model"}
        text = json.dumps(config, indent=1) + "\n"
        with whole_file(target / "image_encoder.json") as part:
            part.write_text(text, encoding="utf-8")
    earlier = target / f"{MOTION}.safetensors"
    if not files[MOTION] and earlier.is_file():
        log.warning(
            "%s is of an earlier export, since this run has no motion modules; whoever loads the "
            "folder gets both. Delete it, or export to a new folder.",
            earlier,
        )
    return sizes


def _loras(folder: Path) -> list[dict[str, Tensor]]:
    """Return the LoRA of each stage of a run; none if a stage has trained weights themselves."""
    stages = [folder / f"stage{stage}" for stage in (1, 2)]
    there = [stage for stage in stages if (stage / "weights.safetensors").exists()]
    whole = [each for each in there if not TrainingConfig.read(each / "config.json").lora]
    if whole and len(whole) < len(there):
        log.info(
            "%s has trained weights themselves, which a LoRA does not hold: all networks are "
            "written, with the LoRA of the other stage added",
            whole[0],
        )
    return [] if whole else [load_file(each / LORA) for each in there]


def _copy_logs(folder: Path, target: Path) -> None:
    for stage in (1, 2):
        path = folder / f"stage{stage}" / "log.jsonl"
        if path.exists():
            shutil.copyfile(path, target / f"stage{stage}.jsonl")


def _part(state: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    start = f"{prefix}."
    return {key[len(start) :]: value for key, value in state.items() if key.startswith(start)}
