"""Latents that a trained stage 1 samples for new characters, stored as examples for the decoder.

Sampled latents differ from those of the encoder: they are smoother, and wrong in places. A decoder
that was trained on them and their true pictures decodes them better.
"""

import hashlib
import logging
from pathlib import Path

import numpy as np
import torch
from einops import rearrange
from torch import Tensor

from ..diffusion.samplers import sample
from ..diffusion.schedule import NoiseSchedule
from ..drawn import PICTURE_SIZE
from ..drawn.clip import paint_any_clip, paint_clip, skeletons_of
from ..errors import InputError
from ..media.fitting import squash
from ..media.pictures import to_pixels
from ..places import whole_file
from ..pose.drawing.draw import draw_pose
from ..protocols import Autoencoder
from ..training.config import scheduled
from ..training.networks import (
    STAGE1,
    AnimateNetworks,
    ExtraReference,
    has_stage1,
    trained_networks,
)
from ..training.sources.shards import DETAILED, TOKEN_PICTURE
from ..weights.sets.table import get_preset

log = logging.getLogger(__name__)

FIRST = 50_000  # first seed; shards are seeded in another form, so these characters are new
SAMPLER = "stage1.sha256"  # hash of the weights that sampled the results
STEPS = (1, 4, 10)  # of sampling, without guidance; one of them for each character
TWO_REFERENCES = 0.5  # share of the characters of all kinds that have a second reference
ARRAYS = ("latents", "pictures", "masks")


def write_results(
    folder: Path,  # of the run
    autoencoder: Autoencoder,
    *,
    shards: int,
    clips: int = 60,  # characters per shard
    frames: int = 6,  # of each, besides its references
    kinds: bool = False,  # all kinds of characters, with backs, else full figures from the front
) -> None:
    """Sample the missing results with the stage 1 of the folder; each seed gives one file."""
    if not has_stage1(folder):
        raise InputError(f"folder got {folder}; it holds no stage 1. Train it first.")
    config, networks = trained_networks(folder, motion=False)
    schedule = NoiseSchedule(scheduled(get_preset(config.preset), config).schedule)
    target = folder / "results"
    _claim(target, folder / STAGE1)
    for seed in range(FIRST, FIRST + shards):
        path = target / (f"kinds-{seed}.npz" if kinds else f"{seed}.npz")
        if path.exists():
            continue
        rng = np.random.default_rng((seed, 1) if kinds else seed)
        made = [_sampled(networks, schedule, autoencoder, rng, frames, kinds) for _ in range(clips)]
        arrays = (np.concatenate(part) for part in zip(*made, strict=True))
        with whole_file(path) as part, part.open("wb") as file:
            np.savez(file, **dict(zip(ARRAYS, arrays, strict=True)))
        log.info("wrote %s", path.name)


def _claim(target: Path, weights: Path) -> None:
    """Create the folder of results; InputError if its results were sampled by other weights."""
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    target.mkdir(exist_ok=True)
    path = target / SAMPLER
    if not path.exists():
        with whole_file(path) as part:
            part.write_text(digest, encoding="utf-8")
    elif path.read_text(encoding="utf-8") != digest:
        raise InputError(
            f"results in {target} were sampled by another stage 1 than {weights}. Delete that "
            "folder to sample again."
        )


def read_results(folder: Path) -> dict[str, np.ndarray]:
    """Return latents (n, c, h, w), true pictures (n, H, W, 3) and masks (n, H, W)."""
    files = [np.load(path) for path in sorted((folder / "results").glob("*.npz"))]
    if not files:
        raise InputError(
            f"folder got {folder}; it holds no results of stage 1. Make some first with the "
            "command results."
        )
    return {part: np.concatenate([file[part] for file in files]) for part in ARRAYS}


@torch.no_grad()
def _sampled(
    networks: AnimateNetworks,
    schedule: NoiseSchedule,
    autoencoder: Autoencoder,
    rng: np.random.Generator,
    count: int,  # pictures, besides the references
    kinds: bool,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return latents, true pictures and masks of a new character."""
    given = 1 + int(kinds and rng.random() < TWO_REFERENCES)
    painted = paint_any_clip if kinds else paint_clip
    paintings = painted(rng, rng.uniform(0, 400, given + count), PICTURE_SIZE)
    pictures = np.stack([p.picture for p in paintings])
    hands, face = (rng.random(2) < DETAILED).tolist()
    drawn = draw_pose(skeletons_of(paintings[given:], PICTURE_SIZE), hands=hands, face=face)
    with torch.autocast("cpu", torch.bfloat16):
        seen = to_pixels(squash(pictures[:given], TOKEN_PICTURE)).split(1)
        references = autoencoder.encode(to_pixels(pictures[:given])).split(1)
        extras = [
            ExtraReference(latents=latents, picture=picture, present=(True,))
            for latents, picture in zip(references[1:], seen[1:], strict=True)
        ]
        told = networks.conditions(to_pixels(drawn)[None], references[0], seen[0], [True], extras)

        def model(latents: Tensor, timestep: int, _: int) -> Tensor:
            steps = torch.full((1, count), timestep)
            return networks.denoiser(latents, steps, told.prepared, told.pose).float()

        shape = (1, references[0].shape[1], count, *references[0].shape[2:])
        noise = torch.from_numpy(rng.standard_normal(shape, np.float32))
        latents = sample(model, noise, schedule, int(rng.choice(STEPS)))
    masks = np.stack([p.mask for p in paintings[given:]])
    return rearrange(latents, "1 c f h w -> f c h w").half().numpy(), pictures[given:], masks
