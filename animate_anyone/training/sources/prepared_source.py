"""A data set made by `prepare`: the examples if --data names its folder."""

import logging
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...dataset.content import content_of
from ...dataset.manifest import MANIFEST, ClipDataset
from ...dataset.tools import ToolMaker
from ...errors import ConfigError
from ...evaluation.pairs import Pair
from ...evaluation.prepared import prepared_pairs, tested_span
from ...evaluation.protocol import load_protocol
from ...weights.encoders import CLIP_SIDE
from ...weights.sets.table import get_preset
from ..config import TrainingConfig
from ..networks import IMAGE_ENCODER
from .find import MakePairs, SourceKind, ValidationSize
from .prepared import ClipSource

if TYPE_CHECKING:
    from ..stages import Choices

log = logging.getLogger(__name__)

SCATTERED, SCATTERED_FRAMES = 5, 4  # validation in stage 1: stride, and number of frames


def _recognises(choices: "Choices") -> bool:
    return choices.data is not None and (choices.data / MANIFEST).is_file()


def _open(choices: "Choices", config: TrainingConfig) -> ClipSource:
    dataset = _dataset(choices)
    _check_caches(dataset, choices)
    if config.figure_weight and not config.figure_margin:
        log.info(
            "figure_weight %g has no effect on %s: prepared clips hold no mask of the figure. Set "
            "figure_margin (0.04 is usual) to take for it what lies near the limbs.",
            *(config.figure_weight, dataset.folder),
        )
    look: dict[str, Any] = {
        "strides": (config.least_stride, config.most_stride),
        "dimmed": get_preset(config.preset).dimmed_poses,
    }
    if not config.train_image_encoder:
        return ClipSource(dataset, image_side=CLIP_SIDE, **look)
    if dataset.has("tokens"):
        log.warning(
            "the tokens in %s are left aside: with train_image_encoder the run has an image "
            "encoder of its own, which sees the pictures. To use the tokens, set "
            "train_image_encoder to false with --config.",
            dataset.folder,
        )
    side = IMAGE_ENCODER.image_size
    return ClipSource(dataset, image_side=side, **look, cached_tokens=False)


def _dataset(choices: "Choices") -> ClipDataset:
    assert choices.data is not None
    return ClipDataset.open(choices.data)


def _check_caches(dataset: ClipDataset, choices: "Choices") -> None:
    """Raise ConfigError if an encoder is named that is not the one that made the cache."""
    for cache, name in (("latents", "vae"), ("tokens", "image_encoder")):
        path: Path | None = getattr(choices, name)
        if path is None or not dataset.has(cache):
            continue
        maker = ToolMaker(vae=choices.vae, image_encoder=path, caches=(cache,))
        if maker.cache_names()[cache] != dataset.manifest.cached[cache]:
            raise ConfigError(
                f"{name} got {path}, but the {cache} in {dataset.folder} were cached with another "
                "one. Name that one, or prepare with this one into another folder."
            )


def _pairs(choices: "Choices", config: TrainingConfig, size: ValidationSize) -> MakePairs:
    dataset = _dataset(choices)
    if not dataset.split("test"):
        log.warning(
            "%s has no test clips; validation uses training clips, so its figures only show how "
            "well these are memorised. Prepare with --split to hold some out.",
            dataset.folder,
        )
    # In stage 1 a few frames with some distance. The first frame is the reference.
    stride = SCATTERED if config.stage == 1 else 1
    length = SCATTERED_FRAMES if config.stage == 1 else max(size.frames, 2)
    protocol = replace(load_protocol("ubc"), frames=length, stride=stride)
    every = dataset.split("test") or dataset.clips
    entries = tuple(e for e in every if len(tested_span(e, protocol)) > 1)[: size.count]
    if not entries:
        raise ConfigError(
            f"validate_every got {config.validate_every}; none of {len(every)} clips of "
            f"{dataset.folder} has {stride + 1} frames in a row to validate with. Add a longer "
            "test clip, or set validate_every to 0 with --config."
        )
    dimmed = get_preset(config.preset).dimmed_poses
    return lambda: map(_after_first, prepared_pairs(dataset, entries, protocol, dimmed=dimmed))


def _after_first(pair: Pair) -> Pair:
    """Return a pair without its first frame, which is the reference itself."""
    rows = slice(1, None)
    return replace(
        pair, truth=pair.truth[rows], poses=pair.poses[rows], skeletons=pair.skeletons.at(rows)
    )


KIND = SourceKind(
    title=f"a folder with {MANIFEST}, made by `prepare`",
    recognises=_recognises,
    opens=_open,
    pairs=_pairs,
    content=lambda choices: content_of(_dataset(choices)),
)
