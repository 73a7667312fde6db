"""Splits: lists of names that say which clips are for training and which for testing."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from ..errors import InputError
from ..fitting import Fit
from ..json_files import read_record, read_whole
from ..names.some import some
from ..types import Size

SPLIT_NAMES = ("train", "test")
_SHIPPED = Path(__file__).parent / "names"
# Only these suffixes are removed from names, since names may contain dots.
_CONTAINERS = (".mp4", ".webm", ".mkv", ".mov", ".avi")


@dataclass(frozen=True, kw_only=True)
class Split:
    """Two lists of clip names that do not overlap.

    A name matches a clip if the clip's path below its folder, without suffix, ends with it.
    """

    train: frozenset[str]
    test: frozenset[str]
    note: str = ""  # remarks on the lists, shown in the report

    def __post_init__(self) -> None:
        """Reject lists that overlap, since test clips must not be used in training."""
        if both := sorted(self.train & self.test):
            raise InputError(
                f"split got {len(both)} clips for training and for testing ({some(both)}); the "
                "two must not overlap. Remove them from one list."
            )

    def part(self, name: str) -> str:
        """Return train, test, or "" for a clip that is on neither list."""
        ends = set(ends_of(name))
        found = [part for part in SPLIT_NAMES if ends & getattr(self, part)]
        if len(found) == 2:
            raise InputError(
                f"split got names that match {name} as a training and as a test clip; add the "
                "folders to the names."
            )
        return found[0] if found else ""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a well-known data set is prepared."""

    size: Size  # the paper's, section 4.1
    fit: Fit  # as in the protocol of the same name, which compares whole frames
    split: Split


def recipe(name: str) -> Recipe:
    """Return the recipe of this name, one of RECIPES."""
    if name not in RECIPES:
        raise InputError(f"recipe got {name!r}; it must be one of {', '.join(RECIPES)}.")
    split = read_split([_SHIPPED / f"{name}.json"])
    return Recipe(size=Size(768, 768), fit=RECIPES[name], split=split)


RECIPES: Mapping[str, Fit] = {"tiktok": "crop", "ubc": "pad"}


def read_split(paths: Sequence[Path]) -> Split:
    """Return the split of a JSON file with "train" and "test", or of one text file for each.

    A text file has a name, path or URL in each line, and "train" or "test" in its file name.
    """
    lists: dict[str, frozenset[str]] = dict.fromkeys(SPLIT_NAMES, frozenset())
    note = ""
    for path in paths:
        if path.suffix.lower() == ".json":
            values = _values(path)
            note = str(values.get("note", ""))
            found = {part: values[part] for part in SPLIT_NAMES if part in values}
        else:
            text = _text(path)  # a missing file is reported before a name that fits neither part
            found = {_part_of(path): text.split("\n")}
        for part, names in found.items():
            lists[part] |= {_plain(name) for name in names if name.strip()}
    return Split(train=lists["train"], test=lists["test"], note=note)


def split_by_folder(names: Collection[str]) -> Split | None:
    """Return the split given by folders named train and test; None if there are none."""
    lists = {
        part: frozenset(name for name in names if part in PurePosixPath(name).parts[:-1])
        for part in SPLIT_NAMES
    }
    if not any(lists.values()):
        return None
    return Split(train=lists["train"], test=lists["test"])


def ends_of(name: str) -> list[str]:
    """Return the names by which a list may name a clip: its path, and each end of it."""
    parts = name.split("/")
    return ["/".join(parts[start:]) for start in range(len(parts))]


def _plain(name: str) -> str:
    """Return a name without its URL and without the suffix of a video."""
    name = name.strip().replace("\\", "/")
    if "://" in name:
        name = name.rsplit("/", 1)[1]
    path = PurePosixPath(name)
    return str(path.with_suffix("")) if path.suffix.lower() in _CONTAINERS else str(path)


def _part_of(path: Path) -> str:
    found = [part for part in SPLIT_NAMES if part in path.stem.lower()]
    if len(found) != 1:
        raise InputError(
            f"split got {path.name}; a text file must have train or test in its name. Rename it, "
            'or write one JSON file with the lists "train" and "test".'
        )
    return found[0]


def _text(path: Path) -> str:
    try:
        return read_whole(path, "split").decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"split got {path}; it cannot be read ({error}). Check it.") from error


def _values(path: Path) -> Mapping[str, Any]:
    values = read_record(path, "split")
    lists = [values[part] for part in SPLIT_NAMES if part in values]
    if not lists or not all(
        isinstance(names, list) and all(isinstance(name, str) for name in names) for names in lists
    ):
        raise InputError(
            f'split got {path}; it must hold the lists of names "train" and "test". Write both.'
        )
    return values
