"""Finding the clips of a folder: files that may be videos, and folders of pictures."""

import os
from array import array
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import overload

import numpy as np

from ..errors import InputError, MediaError
from ..media.files import is_hidden, is_picture
from ..media.pictures import moves
from ..names.texts import Texts

PICTURES_FOLDER = "images"  # name in the TikTok data set, which also has folders of masks
# Suffixes of files that are not clips; all other files are tried, since suffixes of videos vary.
_NO_CLIPS = frozenset({".csv", ".json", ".jsonl", ".md", ".npy", ".npz", ".pdf", ".py", ".srt",
    ".txt", ".xml", ".yaml", ".yml", ".zip"})  # fmt: skip


@dataclass(frozen=True)
class Found:
    """A clip that was found, but not read yet."""

    name: str  # path below the folder, without suffix; unique
    path: Path


class Clips(Sequence[Found]):
    """The clips below a folder; each is made when it is asked for.

    Of a clip its path below the folder is kept, and ten bytes.
    """

    def __init__(
        self,
        folder: Path,
        paths: Texts,  # below the folder
        cuts: array,  # by path: how many letters at its end are not of the clip's name
        places: Sequence[int] | None = None,  # of these clips among the paths; None: all of them
    ) -> None:
        """Use clips that were found; see `find_clips`."""
        self._folder, self._paths, self._cuts = folder, paths, cuts
        self._places = range(len(paths)) if places is None else places

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, index: int) -> Found: ...
    @overload
    def __getitem__(self, index: slice) -> "Clips": ...
    def __getitem__(self, index: int | slice) -> "Found | Clips":
        if isinstance(index, slice):
            return Clips(self._folder, self._paths, self._cuts, self._places[index])
        place = self._places[index]
        path = self._paths[place]
        return Found(_name(path, self._cuts[place], self._folder), self._folder / path)

    def only(self, wanted: Callable[[Found], bool]) -> "Clips":
        """Return the clips for which this is true."""
        places = (place for place, each in zip(self._places, self, strict=True) if wanted(each))
        return Clips(self._folder, self._paths, self._cuts, array("I", places))


def find_clips(folder: Path) -> Clips:
    """Return the clips below a folder, sorted by name.

    A folder that holds pictures is one clip. If it is called `images`, its parent folder is the
    clip, and the other folders in the parent (masks, ...) are ignored, as are hidden files.
    """
    if not folder.is_dir():
        raise InputError(f"clips got {folder}; there is no such folder. Check the path.")
    paths, cuts, hashes = Texts(), array("H"), array("q")
    for path in _below(folder):
        text = path.relative_to(folder).as_posix()
        cuts.append(_cut(path, text))
        hashes.append(hash(_name(text, cuts[-1], folder)))
        paths.append(text)
    if not paths:
        raise InputError(
            f"clips got {folder}; it holds no clip, that is, no video file and no folder of "
            "pictures. Choose the folder that holds them."
        )
    _tell_apart(paths, cuts, np.frombuffer(hashes, np.int64), folder)
    return Clips(folder, paths, cuts)


def _below(folder: Path) -> Iterator[Path]:
    """Yield the clips in the order of their paths: a folder, and then what it holds."""
    images = folder / PICTURES_FOLDER
    if images.is_dir() and _holds_pictures(images):
        yield images
        return
    names = Texts(sorted((path.name for path in folder.iterdir()), key=os.path.normcase))
    if _holds_pictures(folder):
        yield folder
    for name in names:
        path = folder / name
        if is_hidden(path):
            continue
        if path.is_dir():
            yield from _below(path)
        elif not _is_picture(path) and path.suffix.lower() not in _NO_CLIPS:
            yield path


def _cut(path: Path, text: str) -> int:
    """Return how many letters at the end of a clip's path are not of its name."""
    if text == ".":
        return 1
    if not path.is_dir():
        return len(path.name) - len(path.with_suffix("").name)
    return min(len(text), len(f"/{PICTURES_FOLDER}")) if path.name == PICTURES_FOLDER else 0


def _name(text: str, cut: int, folder: Path) -> str:
    """Return the name of a clip; one that is the folder itself is called as it is."""
    return text[: len(text) - cut] or folder.resolve().name


def _tell_apart(paths: Texts, cuts: array, hashes: np.ndarray, folder: Path) -> None:
    """Let clips that would have the same name have their suffix too."""
    ascending = np.sort(hashes)
    equal = ascending[1:][ascending[1:] == ascending[:-1]]
    places = np.flatnonzero(np.isin(hashes, equal)).tolist() if len(equal) else []
    counts = Counter(_name(paths[place], cuts[place], folder) for place in places)
    for place in places:
        if counts[_name(paths[place], cuts[place], folder)] > 1:
            cuts[place] = 0


def _holds_pictures(folder: Path) -> bool:
    return any(_is_picture(path) for path in folder.iterdir())


def _is_picture(path: Path) -> bool:
    """Return whether a file is a still picture; a moving one (GIF, WebP, APNG) is a clip."""
    if is_hidden(path) or not path.is_file() or not is_picture(path):
        return False
    try:
        return not moves(path)
    except (InputError, MediaError):
        return True  # a damaged picture, which is named when the clip is read
