"""Training of the ablation: one pretrained denoiser, then every row with every seed.

The denoiser takes the place of Stable Diffusion: it is trained once, to draw characters by the
image token of another picture of them, without poses. All rows start from it, as the paper's from
Stable Diffusion, and all see the token of one image encoder, which stays as it is.
"""

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from ...errors import ConfigError
from ...places import whole_file
from ...protocols import Autoencoder
from ...types import Size
from ...weights.load import Models
from ...weights.sets.table import get_preset
from .. import initial
from ..config import TrainingConfig
from ..loop.trainer import Surroundings, Trainer
from ..networks import STAGE1, AnimateNetworks, as_models, trained_networks
from ..sources.shards import Shards, write_shards
from ..variants import Variant

log = logging.getLogger(__name__)

EXAMPLES, PRETRAINED = "examples", "pretrained"  # folders
DENOISER = f"{PRETRAINED}/denoiser.safetensors"


def paint_examples(folder: Path, autoencoder: Autoencoder, shards: int) -> None:
    """Paint the examples of all rows, 100 characters in patterned clothes per shard.

    Existing shards are kept. One in seven is of tall pictures.
    """
    tall = shards // 7
    for size, first, count in (
        (Size(128, 128), 3000, shards - tall),
        (Size(128, 192), 5300, tall),
    ):
        own = folder / EXAMPLES
        write_shards(own, autoencoder, first=first, shards=count, size=size, cast="patterned")


def pretrain(
    folder: Path,
    config: TrainingConfig,
    frozen: Models,  # whose image encoder is used
) -> Path:
    """Train or resume the denoiser that all rows start from; return the file of its weights."""
    path = folder / DENOISER

    def start(networks: AnimateNetworks) -> None:
        # Its last layer is zero and is not trained: poses have no effect.
        initial.gaussian_pose_guider(networks.pose_guider, _generator(config))

    if not path.exists():
        log.info("pretraining the denoiser: %d steps", config.steps)
        _trained(folder / PRETRAINED, config, folder, frozen, start)
        state = load_file(folder / PRETRAINED / STAGE1)
        own = {
            key.removeprefix("denoiser."): value
            for key, value in state.items()
            if key.startswith("denoiser.")
        }
        with whole_file(path, name="folder") as part:
            save_file(own, part)
    return path


def train_row(
    folder: Path,
    config: TrainingConfig,  # with the row's variant and seed
    frozen: Models,  # whose autoencoder and image encoder are used
) -> Models:
    """Train or resume one row with one seed; return its models."""
    denoiser = folder / DENOISER

    def start(networks: AnimateNetworks) -> None:
        pair = networks.denoiser, networks.reference_net
        initial.from_stable_diffusion(*pair, denoiser)
        initial.gaussian_pose_guider(networks.pose_guider, _generator(config))

    own = row_folder(folder, config.variant, config.seed)
    _trained(own, config, folder, frozen, start)
    trained, networks = trained_networks(own)
    preset = get_preset(trained.preset)
    preset = replace(preset, unet=replace(preset.unet, motion=None))
    return as_models(networks, preset, frozen.autoencoder, frozen.image_encoder)


def row_folder(folder: Path, variant: Variant, seed: int) -> Path:
    """Return the folder of one row with one seed."""
    return folder / f"seed{seed}" / variant


def _trained(
    own: Path,
    config: TrainingConfig,
    folder: Path,
    frozen: Models,
    start: Callable[[AnimateNetworks], None],
) -> None:
    surroundings = Surroundings(image_encoder=frozen.image_encoder, start=start)
    trainer = Trainer(config, own, surroundings=surroundings)
    if trainer.step > config.steps:
        raise ConfigError(
            f"steps got {config.steps}; the run in {own} is already at step {trainer.step}. Set "
            "steps to that number or more, or choose a new folder."
        )
    trainer.run(Shards(folder / EXAMPLES, consecutive=False))


def _generator(config: TrainingConfig) -> torch.Generator:
    return torch.Generator().manual_seed(config.seed)
