"""The row of one clip: all figures that a test keeps of it, as a value and as files."""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from ...errors import InputError
from ...json_files import read_record
from ...places import whole_file
from ..metrics.table import Row

TRUTH = ""  # in the place of a way: the features of the true clip
Feature = tuple[str, str]  # a set metric, and the way in which the clip was made


@dataclass(frozen=True, kw_only=True)
class ClipRow:
    """The figures of one clip of a test, for every way in which it was made."""

    place: int  # in the whole test, from 0
    name: str
    frames: int
    figures: Mapping[str, Row]  # by way, in the table's order
    features: Mapping[Feature, np.ndarray] = field(default_factory=dict)  # (pieces, d), float64
    pieces: Mapping[str, int] = field(default_factory=dict)  # that a set metric cuts it into
    seconds: float = 0.0  # that generating and measuring took
    kept: tuple[str, ...] = ()  # names of the generated clips that were written


def write_row(folder: Path, row: ClipRow) -> None:
    """Write the files of a row; the last one, which says that it is there, is written whole."""
    path = row_path(folder, row.place)
    path.parent.mkdir(parents=True, exist_ok=True)
    if row.features:
        with whole_file(path.with_suffix(".npz"), suffixed=True) as part:
            arrays: dict[str, Any] = {_key(*n): _short(x) for n, x in row.features.items()}
            np.savez(part, **arrays)
    values = {
        "place": row.place,
        "name": row.name,
        "frames": row.frames,
        "seconds": round(row.seconds, 3),
        "kept": list(row.kept),
        "pieces": dict(row.pieces),
        "features": [list(name) for name in row.features],
        "figures": {way: _storable(figures) for way, figures in row.figures.items()},
    }
    with whole_file(path) as part:
        part.write_text(json.dumps(values, allow_nan=False) + "\n", encoding="utf-8")


def read_row(folder: Path, place: int) -> ClipRow:
    """Return the row of a place; its features are read when they are used.

    InputError for a file that is damaged.
    """
    path = row_path(folder, place)
    values = read_record(path, "out")
    try:
        names = tuple((metric, way) for metric, way in values["features"])
        return ClipRow(
            place=int(values["place"]),
            name=str(values["name"]),
            frames=int(values["frames"]),
            figures={way: _figures(row) for way, row in values["figures"].items()},
            features=_Stored(path.with_suffix(".npz"), names),
            pieces={name: int(count) for name, count in values["pieces"].items()},
            seconds=float(values["seconds"]),
            kept=tuple(values["kept"]),
        )
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError) as error:
        raise _damaged(path, error) from error


def row_path(folder: Path, place: int) -> Path:
    """Return the file that says that the row of a place is there."""
    return folder / "rows" / f"{place:06d}.json"


@dataclass(frozen=True)
class _Stored(Mapping[Feature, np.ndarray]):
    """Features in a file, of which one array is read at a time."""

    path: Path
    names: tuple[Feature, ...]

    def __getitem__(self, name: Feature) -> np.ndarray:
        if name not in self.names:
            raise KeyError(name)
        try:
            with np.load(self.path, allow_pickle=False) as arrays:
                return arrays[_key(*name)].astype(np.float64)
        except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
            raise _damaged(self.path, error) from error

    def __iter__(self) -> Iterator[Feature]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)


def _key(metric: str, way: str) -> str:
    return f"{metric}|{way}"


def _short(features: np.ndarray) -> np.ndarray:
    """Return features in half of the space if that loses nothing, as for those of networks."""
    short = features.astype(np.float32)
    return short if np.array_equal(short.astype(np.float64), features) else features


def _storable(figures: Row) -> dict[str, float | str]:
    """Return figures for JSON, which has no infinite numbers: these as text."""
    return {n: value if math.isfinite(value) else str(value) for n, value in figures.items()}


def _figures(values: Mapping[str, Any]) -> Row:
    return {name: float(value) for name, value in values.items()}


def _damaged(path: Path, error: Exception) -> InputError:
    return InputError(
        f"out got {path}, which is damaged ({error}). Delete this file and {path.stem}.json beside "
        "it, and start the command again: it measures this clip anew."
    )
