"""Drawn characters, stored as shards in the run's folder: the examples without --data."""

from pathlib import Path
from typing import TYPE_CHECKING

from ...dataset.content import content_of_files
from ...evaluation.held_out import held_out_pairs
from ..config import TrainingConfig
from .find import MakePairs, SourceKind, ValidationSize
from .shards import ENCODER, Shards

if TYPE_CHECKING:
    from ..stages import Choices

VALIDATION_FIRST = 100_000  # drawn characters of validation are not those of the test


def shards_content(folder: Path) -> str:
    """Return a hash of the shards in a folder, by their names, sizes and autoencoder."""
    files = [folder / ENCODER, *sorted(folder.glob("*/*.npy"))]
    return content_of_files(path for path in files if path.parent.suffix != ".partial")


def _pairs(_: "Choices", __: TrainingConfig, size: ValidationSize) -> MakePairs:
    return lambda: held_out_pairs(size.count, size.frames, first=VALIDATION_FIRST)


KIND = SourceKind(
    title="nothing, for drawn characters in the run's folder",
    recognises=lambda choices: choices.data is None,
    opens=lambda choices, config: Shards(choices.folder / "data", consecutive=config.stage == 2),
    pairs=_pairs,
    content=lambda choices: shards_content(choices.folder / "data"),
    drawn=True,
)
