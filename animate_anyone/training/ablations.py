"""The ablation of the paper's table 3 in miniature, on drawn characters.

All variants train on the same examples for the same number of steps; on one CPU core each takes
minutes. The paper's own figures are for UBC Fashion at full size, so only the order of the rows
can be compared.
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from ..animate import Sampling, sampling_of
from ..errors import ConfigError
from ..evaluation.held_out import held_out_pairs
from ..evaluation.metrics.metric import Instruments
from ..evaluation.metrics.table import Row
from ..evaluation.pairs import Pair
from ..evaluation.pose_reader import PoseReader
from ..evaluation.report import RESULT, evaluate
from ..protocols import Autoencoder
from ..types import Size
from ..weights.load import Models
from ..weights.pose_models import open_pose_pair
from ..weights.sets.table import get_preset
from .config import TrainingConfig
from .loop.trainer import Trainer
from .networks import as_models, trained_networks
from .sources.shards import Shards, write_shards
from .variants import Variant

log = logging.getLogger(__name__)

TITLES: dict[Variant, str] = {  # as in table 3
    "clip": "CLIP only",
    "controlnet": "ControlNet",
    "clip_controlnet": "CLIP + ControlNet",
    "reference_net": "ReferenceNet",
}
MOVING = ("flicker",)  # metrics that need clips; all others are measured on single frames


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """How every row is measured: on the held-out test of aa-mini, without guidance."""

    pairs: int = 64  # single frames
    clips: int = 6
    frames: int = 24  # of a clip
    steps: int = 10  # of sampling
    seed: int = 0  # pair i uses seed + i


def paint_examples(folder: Path, autoencoder: Autoencoder, shards: int = 20) -> None:
    """Paint the examples of all variants, 100 characters per shard; existing shards are kept."""
    square, tall = Size(128, 128), Size(128, 192)
    write_shards(folder, autoencoder, first=3000, shards=shards, size=square)
    write_shards(folder, autoencoder, first=5300, shards=(shards + 6) // 7, size=tall)


def train_variants(
    folder: Path,  # holds data/ and a folder for each variant
    config: TrainingConfig,
    autoencoder: Autoencoder,
) -> dict[str, Models]:
    """Train or resume every variant; return the models by their title in the table."""
    source = Shards(folder / "data", consecutive=False)
    models = {}
    for variant, title in TITLES.items():
        log.info("%s: %d steps of %d examples", title, config.steps, config.examples)
        trainer = Trainer(replace(config, variant=variant), folder / variant)
        if trainer.step > config.steps:
            raise ConfigError(
                f"steps got {config.steps}; the run in {folder / variant} is already at step "
                f"{trainer.step}. Set steps to that number or more, or choose a new folder."
            )
        trainer.run(source)
        own, networks = trained_networks(folder / variant)
        preset = get_preset(own.preset)
        preset = replace(preset, unet=replace(preset.unet, motion=None))
        models[title] = as_models(networks, preset, autoencoder)
    return models


def measure(models: Models, how: Comparison) -> tuple[Row, Row]:
    """Return means and standard errors of all metrics; those in MOVING are measured on clips."""
    usual = sampling_of(models.preset)
    sampling = replace(usual, steps=how.steps, guidance=1.0, seed=how.seed)
    instruments = Instruments(pose=PoseReader(open_pose_pair()))
    mean, error = _figures(models, sampling, instruments, held_out_pairs(how.pairs))
    if how.clips and how.frames > 1:
        moving = replace(instruments, pose=None, metrics=MOVING)
        clips = held_out_pairs(how.clips, how.frames)
        for row, more in zip((mean, error), _figures(models, sampling, moving, clips), strict=True):
            row |= more
    return mean, error


def _figures(
    models: Models, sampling: Sampling, instruments: Instruments, pairs: Iterable[Pair]
) -> tuple[Row, Row]:
    found = evaluate(models, sampling, pairs, instruments, baselines=False)
    return dict(found[RESULT].mean), dict(found[RESULT].standard_error)
