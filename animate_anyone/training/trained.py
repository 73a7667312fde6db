"""Load a run's folder as models to sample and measure: any variant, and no export is needed."""

from dataclasses import replace
from pathlib import Path

import torch

from ..weights.encoders import NetworkAutoencoder, load_autoencoder
from ..weights.load import Models, load_mini
from ..weights.read import read_weights
from ..weights.sets.aa_mini import AA_MINI
from ..weights.sets.table import get_preset
from .config import scheduled
from .networks import as_models, trained_networks

AUTOENCODER = "autoencoder.safetensors"  # in a run's folder, if the run has its own autoencoder


def is_run(folder: Path) -> bool:
    """Return whether a folder holds weights of a training run."""
    return any((folder / f"stage{stage}/weights.safetensors").is_file() for stage in (1, 2))


def load_run(
    folder: Path,
    *,
    motion: bool = True,  # False: leave the temporal layers of stage 2 out
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
) -> Models:
    """Return the networks of a run with the schedule that they were trained with.

    The autoencoder is the run's own, or aa-mini's if the run has aa-mini's preset. Other frozen
    encoders are not stored in a run's folder, so they are None here.
    """
    config, networks = trained_networks(folder, motion=motion)
    preset = scheduled(get_preset(config.preset), config)
    unet = preset.unet if config.stage == 2 else replace(preset.unet, motion=None)
    left = "" if motion else ", no temporal layers"
    stage = 2 if (folder / "stage2/weights.safetensors").is_file() else 1
    title = f"{preset.title}, trained as {config.variant}, stage {stage}{left}"
    own = own_autoencoder(folder, preset.latent_scale, dtype, device)
    if own is None and config.preset == AA_MINI.name:
        own = load_mini(dtype=dtype, device=device).autoencoder
    return as_models(networks.to(device, dtype), replace(preset, title=title, unet=unet), own)


def own_autoencoder(
    folder: Path,
    latent_scale: float,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
) -> NetworkAutoencoder | None:
    """Return the autoencoder in a run's folder, or None if there is none."""
    path = folder / AUTOENCODER
    if not path.is_file():
        return None
    return load_autoencoder(read_weights(path), latent_scale, dtype, device)
