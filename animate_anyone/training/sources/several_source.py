"""Several sets made by `prepare`, each of one size: the examples if --data names their folder.

Every step takes all of its rows from one set, its bucket, so that they fit into one batch. Which
one depends only on seed and step: resumed runs and several processes draw the same.
"""

import logging
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ...dataset.content import content_of
from ...dataset.manifest import MANIFEST, ClipDataset
from ..config import TrainingConfig
from . import prepared_source
from .batch import Batch, Draw
from .find import MakePairs, SourceKind, ValidationSize
from .prepared import ClipSource

if TYPE_CHECKING:
    from ..stages import Choices

log = logging.getLogger(__name__)

_BUCKET = 0xB0CE7  # keeps the draws of buckets apart from those of rows


class Buckets:
    """Draws a bucket for each step, as often as its share of all clips, and its rows from there."""

    def __init__(self, sources: Sequence[ClipSource]) -> None:
        """Use sources whose pictures have different sizes."""
        self.sources = tuple(sources)
        counts = np.array([len(source.entries) for source in self.sources], float)
        self.shares = counts / counts.sum()

    def batch(self, draw: Draw, step: int, rows: Sequence[int]) -> Batch:
        """Return these rows of a step; all rows of the step are from one bucket."""
        rng = np.random.default_rng((draw.seed, step, _BUCKET))
        number = int(rng.choice(len(self.sources), p=self.shares))
        return self.sources[number].batch(draw, step, rows)


def _sets(choices: "Choices") -> list[Path]:
    """Return the folders of the sets, in the order of their names."""
    if choices.data is None or (choices.data / MANIFEST).exists():
        return []
    return sorted(path.parent for path in choices.data.glob(f"*/{MANIFEST}"))


def _open(choices: "Choices", config: TrainingConfig) -> Buckets:
    kind = prepared_source.KIND
    sources = [kind.opens(replace(choices, data=path), config) for path in _sets(choices)]
    buckets = Buckets([source for source in sources if isinstance(source, ClipSource)])
    for source, share in zip(buckets.sources, buckets.shares, strict=True):
        size = source.dataset.size
        log.info(
            "bucket %s: %dx%d, %d clips, %.0f %% of the steps",
            *(source.dataset.folder, size.width, size.height, len(source.entries), 100 * share),
        )
    clips = sum(len(source.entries) for source in buckets.sources)
    steps = math.ceil(clips / config.examples)
    log.info("%d steps draw as many examples as there are clips (%d)", steps, clips)
    return buckets


def _pairs(choices: "Choices", config: TrainingConfig, size: ValidationSize) -> MakePairs:
    """Validate with the bucket that has the most test clips, or else the most clips."""

    def amount(path: Path) -> tuple[int, int]:
        dataset = ClipDataset.open(path)
        return len(dataset.split("test")), len(dataset.clips)

    most = max(_sets(choices), key=amount)
    log.info("validation uses the clips of one size, those in %s", most)
    assert prepared_source.KIND.pairs is not None
    return prepared_source.KIND.pairs(replace(choices, data=most), config, size)


def _content(choices: "Choices") -> str:
    return " ".join(content_of(ClipDataset.open(path)) for path in _sets(choices))


KIND = SourceKind(
    title=f"a folder of several such folders with {MANIFEST}, one for each size",
    recognises=lambda choices: bool(_sets(choices)),
    opens=_open,
    pairs=_pairs,
    content=_content,
)
