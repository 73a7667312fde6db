"""Finding the clips of a folder: files that may be videos, and folders of pictures."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from ..errors import InputError, MediaError
from ..media.files import is_hidden, is_picture
from ..media.pictures import moves

PICTURES_FOLDER = "images"  # name in the TikTok data set, which also has folders of masks
# Suffixes of files that are not clips; all other files are tried, since suffixes of videos vary.
_NO_CLIPS = frozenset({".csv", ".json", ".jsonl", ".md", ".npy", ".npz", ".pdf", ".py", ".srt",
    ".txt", ".xml", ".yaml", ".yml", ".zip"})  # fmt: skip


@dataclass(frozen=True)
class Found:
    """A clip that was found, but not read yet."""

    name: str  # path below the folder, without suffix; unique
    path: Path


def find_clips(folder: Path) -> list[Found]:
    """Return the clips below a folder, sorted by name.

    A folder that holds pictures is one clip. If it is called `images`, its parent folder is the
    clip, and the other folders in the parent (masks, ...) are ignored, as are hidden files.
    """
    if not folder.is_dir():
        raise InputError(f"clips got {folder}; there is no such folder. Check the path.")
    paths = sorted(_below(folder))
    plain = [_name(path, folder) for path in paths]
    counts = Counter(plain)
    names = [
        path.relative_to(folder).as_posix() if counts[name] > 1 else name
        for path, name in zip(paths, plain, strict=True)
    ]
    if not names:
        raise InputError(
            f"clips got {folder}; it holds no clip, that is, no video file and no folder of "
            "pictures. Choose the folder that holds them."
        )
    return [Found(name, path) for name, path in zip(names, paths, strict=True)]


def _below(folder: Path) -> list[Path]:
    entries = [path for path in folder.iterdir() if not is_hidden(path)]
    images = folder / PICTURES_FOLDER
    if images.is_dir() and _holds_pictures(images):
        return [images]
    found = [folder] if any(_is_picture(path) for path in entries) else []
    for path in entries:
        if path.is_dir():
            found += _below(path)
        elif not _is_picture(path) and path.suffix.lower() not in _NO_CLIPS:
            found.append(path)
    return found


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


def _name(path: Path, folder: Path) -> str:
    if path.is_dir() and path.name == PICTURES_FOLDER and path != folder:
        path = path.parent
    named = path if path.is_dir() else path.with_suffix("")
    relative = named.relative_to(folder).as_posix()
    return named.resolve().name if relative == "." else relative
