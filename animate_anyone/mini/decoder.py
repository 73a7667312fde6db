"""Training of aa-mini's decoder alone; the encoder, and so every encoded example, stays valid."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..errors import ConfigError
from ..training.loop.checkpoints import load_checkpoint
from ..types import Size
from .autoencoder import (
    DECODERS,
    AutoencoderTraining,
    CropBatch,
    as_pixels,
    bounds_of,
    corner_of,
    crops_of,
    train_on,
    trained_autoencoder,
    write_autoencoder,
)
from .results import read_results

GRID = 8  # pixels per latent, in each direction

DECODER = AutoencoderTraining(steps=8000, latent_noise=0.1, pictures=12_000, seed=1)
POLISH = replace(
    DECODER, steps=16_000, crop=96, batch=4, sampled=3, absolute=0.25, kinds=True, seed=2
)


def refine_decoder(config: AutoencoderTraining, folder: Path) -> dict[str, Tensor]:
    """Train the decoder further on encoded pictures; return its averaged weights."""
    done = load_checkpoint(folder / DECODERS[0])
    if (folder / DECODERS[1]).exists() and (done is None or done["step"] < config.steps):
        raise ConfigError(
            f"steps got {config.steps}, more than the decoder in {folder} was trained for, but "
            f"{DECODERS[1]} already continues it. Delete that file first, and polish again."
        )
    return _train_decoder(config, folder, DECODERS[0], crops_of(config))


def polish_decoder(config: AutoencoderTraining, folder: Path) -> dict[str, Tensor]:
    """Train the decoder further on sampled latents (`results`) and encoded pictures."""
    results = read_results(folder)
    return _train_decoder(config, folder, DECODERS[1], _with_results(config, results))


def _train_decoder(
    config: AutoencoderTraining, folder: Path, name: str, batches: Iterator[CropBatch]
) -> dict[str, Tensor]:
    model = trained_autoencoder(folder).network.requires_grad_(False)
    model = model.to(memory_format=torch.channels_last)
    decoder = model.decoder.requires_grad_(True)
    generator = torch.Generator().manual_seed(config.seed)
    values = train_on(model, decoder, batches, folder / name, config, generator)
    write_autoencoder(folder)
    return values


def _with_results(
    config: AutoencoderTraining, results: dict[str, np.ndarray]
) -> Iterator[CropBatch]:
    """Yield crops of pictures, followed by crops of the results' true pictures and latents."""
    rng = np.random.default_rng(config.seed)
    latents, pictures = results["latents"], results["pictures"]
    bounds = [bounds_of(mask) for mask in results["masks"]]
    size, side = Size(pictures.shape[2], pictures.shape[1]), config.crop // GRID
    for pixels, _ in crops_of(config):
        truth, sampled = [], []
        for index in rng.integers(len(latents), size=config.sampled):
            y, x = (place // GRID for place in corner_of(rng, bounds[index], config.crop, size))
            sampled.append(latents[index, :, y : y + side, x : x + side])
            y, x = y * GRID, x * GRID
            truth.append(pictures[index, y : y + config.crop, x : x + config.crop])
        both = torch.cat([pixels, as_pixels(truth)]).contiguous(memory_format=torch.channels_last)
        yield both, torch.from_numpy(np.stack(sampled)).float()
