"""The published weight sets as ComfyUI wants them, and what of them is there."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from ...animate_anyone.config import AA_MINI, PRESETS
from ...animate_anyone.weights.hub.download import PARTIAL, SETS, HubFile
from ...animate_anyone.weights.hub.transfer import partial_path, size_of
from ...animate_anyone.weights.pose_models import DWPOSE, DWPOSE_LICENCE

POSE_PAIR = "dwpose"
FOLDER = "animate_anyone"  # below ComfyUI's models, as the two others
VAE_FOLDER = "vae"
CLIP_FOLDER = "clip_vision"

State = Literal["present", "partial", "wrong", "missing"]  # wrong: there, but of another size


@dataclass(frozen=True, kw_only=True)
class SetFile:
    """One file of a weight set, and where ComfyUI's loaders find it."""

    role: str  # the widget in which it is chosen
    folder: str  # below ComfyUI's models
    file: HubFile  # `to` is its name in that folder
    licence: str
    usual_size: int = 0  # bytes; of networks of this layout, where the table knows no size


@dataclass(frozen=True, kw_only=True)
class WeightSet:
    """What belongs to one name."""

    name: str
    title: str
    licence: str
    source: Literal["pack", "hub", "own"]  # comes with the pack, is published, or is self-made
    files: tuple[SetFile, ...] = ()


@dataclass(frozen=True, kw_only=True)
class FileStatus:
    """One file as the page shows it."""

    role: str
    folder: str
    name: str  # as ComfyUI's widgets list it, with /
    size: int | None  # bytes; None: not known before it is fetched
    estimate: int  # bytes; the size, or what networks of this layout usually have
    state: State
    bytes_there: int  # of `size`
    licence: str
    address: str  # where a browser gets it


_ROLES = {
    "denoising_unet.pth": "denoiser",
    "motion_module.pth": "motion",
    "reference_unet.pth": "reference_net",
    "pose_guider.pth": "pose_guider",
}
# Bytes of the networks of Stable Diffusion 1.5 in float32, 860 million parameters a UNet.
_USUAL_SIZES = {
    "denoiser": 3_440_000_000,
    "motion": 1_820_000_000,
    "reference_net": 3_440_000_000,
    "pose_guider": 4_000_000,
}
# What every set shares goes where Load CLIP Vision and Load VAE look, under names that tell.
_SHARED = {
    "image_encoder/pytorch_model.bin": (
        "clip_vision",
        CLIP_FOLDER,
        "sd-image-variations-clip.bin",
        "other (tag of the hub repository); Stable Diffusion: CreativeML OpenRAIL-M",
    ),
    "autoencoder/diffusion_pytorch_model.safetensors": (
        "vae",
        VAE_FOLDER,
        "sd-vae-ft-mse.safetensors",
        "MIT",
    ),
}
_UNUSED = {"image_encoder/config.json"}  # ComfyUI knows this network by its tensors


def _set_file(set_name: str, licence: str, file: HubFile) -> SetFile:
    if file.to in _SHARED:
        role, folder, name, licence = _SHARED[file.to]
        return SetFile(role=role, folder=folder, file=replace(file, to=name), licence=licence)
    role, placed = _ROLES[file.to], replace(file, to=f"{set_name}/{file.to}")
    usual = _USUAL_SIZES[role]
    return SetFile(role=role, folder=FOLDER, file=placed, licence=licence, usual_size=usual)


def _weight_sets() -> dict[str, WeightSet]:
    sets = {}
    for name, preset in PRESETS.items():
        files = [file for file in SETS.get(name, ()) if file.to not in _UNUSED]
        sets[name] = WeightSet(
            name=name,
            title=preset.title,
            licence=preset.licence,
            source="pack" if name == AA_MINI.name else "hub" if files else "own",
            files=tuple(_set_file(name, preset.licence, file) for file in files),
        )
    pair = zip(("detector", "estimator"), DWPOSE, strict=True)
    sets[POSE_PAIR] = WeightSet(
        name=POSE_PAIR,
        title="DWPose",
        licence=DWPOSE_LICENCE,
        source="hub",
        files=tuple(
            SetFile(role=role, folder=FOLDER, file=file, licence=DWPOSE_LICENCE)
            for role, file in pair
        ),
    )
    return sets


WEIGHT_SETS: Mapping[str, WeightSet] = MappingProxyType(_weight_sets())


def file_status(
    part: SetFile,
    found: Path | None,  # where ComfyUI finds a file of this name
    folder: Path,  # where downloads of its kind go
) -> FileStatus:
    """Return whether a file is there. Its content is checked when it is fetched, not here."""
    size = part.file.size
    partial = partial_path(folder / PARTIAL / part.file.repository, part.file.path)
    there = size_of(found or partial)
    state: State
    if found is not None:
        state = "present" if size in (None, there) else "wrong"
    else:
        state = "partial" if there else "missing"
    return FileStatus(
        role=part.role,
        folder=part.folder,
        name=part.file.to,
        size=there if state == "present" else size,
        estimate=there if state == "present" else size or max(part.usual_size, there),
        state=state,
        bytes_there=there,
        licence=part.licence,
        address=part.file.address,
    )
