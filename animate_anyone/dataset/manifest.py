"""A prepared data set on disk: one manifest, and a folder for each clip.

manifest.json             how the clips were prepared, and the usable clips
clips/<clip>/clip.json    the outcome of `prepare` for a clip, usable or not
clips/<clip>/keypoints.npz
clips/<clip>/frames/000017.png   (or .jpg) frames of the usable spans, at the set's size
clips/<clip>/latents.npy, tokens.npy   if they were cached; only rows within spans are filled
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from textwrap import indent
from typing import Any, Literal
from urllib.parse import quote
from zipfile import BadZipFile

import numpy as np

from ..errors import InputError, MediaError
from ..fitting import Fit
from ..media.pictures import read_bytes
from ..names.some import some
from ..places import whole_file
from ..pose.skeleton.fit import fit_pose
from ..types import PoseClip, Size
from .tracks import read_track

VERSION = 1
MANIFEST = "manifest.json"
CLIPS = "clips"
CACHES = ("latents", "tokens")
WAY_OUT = "Run python -m animate_anyone prepare (again)"


@dataclass(frozen=True, slots=True)
class Span:
    """Frames start..stop - 1 of a clip, all usable and of one shot."""

    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start


@dataclass(frozen=True, kw_only=True, slots=True)
class ClipEntry:
    """A usable clip."""

    name: str  # its path below the source folder, without suffix
    file: str  # its path below the source folder
    split: str  # train, test, or "": in neither
    fps: float  # of the file; for folders of pictures, the configured rate
    frames: int  # of the whole clip
    spans: tuple[Span, ...]  # in ascending order; at least one

    @property
    def usable(self) -> np.ndarray:  # (n,), ascending frame numbers
        """Return the frames of all spans."""
        return np.concatenate([np.arange(span.start, span.stop) for span in self.spans])


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """How a data set was prepared, and its usable clips."""

    size: Size
    fit: Fit
    source: str  # folder of the original clips
    pictures: str  # suffix of the stored frames
    min_frames: int  # least length of a span
    poses: str  # hash of the pose networks, or another source of the poses
    cached: Mapping[str, str]  # of CACHES -> hash of the encoder
    clips: Sequence[ClipEntry]

    def write(self, folder: Path) -> None:
        """Write the manifest of a data set atomically, clip by clip: there may be many."""
        facts = {field.name: getattr(self, field.name) for field in fields(self)}
        values = {"version": VERSION, **facts, "cached": dict(self.cached), "clips": []}
        values["size"] = [self.size.width, self.size.height]
        head, tail = json.dumps(values, indent=1).rsplit("[]", 1)
        with whole_file(folder / MANIFEST) as part, part.open("w", encoding="utf-8") as file:
            file.write(f"{head}[")
            for number, clip in enumerate(self.clips):
                record = asdict(clip)
                record["spans"] = [[span["start"], span["stop"]] for span in record["spans"]]
                text = indent(json.dumps(record, indent=1), "  ")
                file.write(f"{',' if number else ''}\n{text}")
            end = "\n " if self.clips else ""
            file.write(f"{end}]{tail}\n")


class ClipDataset:
    """A prepared data set; its files are read when they are needed.

    Reading a missing or damaged file raises MediaError with the file's name.
    """

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        """Use a data set whose manifest is known; see `open`."""
        self.folder, self.manifest = folder, manifest

    @classmethod
    def open(cls, folder: Path | str) -> "ClipDataset":
        """Open a data set; InputError if the folder is not a data set, or holds no usable clip."""
        folder = Path(folder)
        manifest = _read_manifest(folder / MANIFEST)
        if not manifest.clips:
            raise InputError(
                f"clips got {folder}; its manifest holds no usable clip. report.md beside it "
                f"gives the reason for each; repair the clips or relax the settings, then prepare "
                "into another folder."
            )
        return cls(folder, manifest)

    @property
    def clips(self) -> Sequence[ClipEntry]:
        """Return all usable clips."""
        return self.manifest.clips

    @property
    def size(self) -> Size:
        """Return the size of all frames, and the canvas of all poses."""
        return self.manifest.size

    def split(self, name: Literal["train", "test"]) -> tuple[ClipEntry, ...]:
        """Return the clips of one part; without a split, all clips are for training."""
        if name == "train" and not any(entry.split for entry in self.clips):
            return tuple(self.clips)
        return tuple(entry for entry in self.clips if entry.split == name)

    def has(self, cache: str) -> bool:
        """Return whether latents or tokens were cached."""
        return cache in self.manifest.cached

    def keypoints(self, entry: ClipEntry) -> PoseClip:
        """Return the main person's skeletons over the whole clip, on the data set's canvas."""
        path = self.path(entry) / "keypoints.npz"
        with _media_errors(path):
            return fit_pose(read_track(path).pose, self.size, self.manifest.fit)

    def frames(self, entry: ClipEntry, start: int, stop: int) -> np.ndarray:
        """Return frames start..stop - 1 of a clip, (f, H, W, 3) uint8 at the data set's size.

        They must lie within one span, since only these frames are stored.
        """
        if not any(span.start <= start < stop <= span.stop for span in entry.spans):
            spans = some([f"{span.start}..{span.stop - 1}" for span in entry.spans])
            raise InputError(
                f"frames got {start}..{stop - 1} of {entry.name}; only its usable spans are stored "
                f"({spans}). Stay within one of them."
            )
        return np.stack([self.frame(entry, number) for number in range(start, stop)])

    def frame(self, entry: ClipEntry, number: int) -> np.ndarray:
        """Return one frame of a span, (H, W, 3) uint8."""
        path = frame_path(self.path(entry), number, self.manifest.pictures)
        with _media_errors(path):
            picture = read_bytes(path)
            if picture.shape != (self.size.height, self.size.width, 3):
                raise ValueError(f"it has shape {picture.shape}")
            return picture

    def latents(self, entry: ClipEntry) -> np.ndarray:
        """Return the cached latents of the whole clip, (f, c, h, w) float16, as a memory map."""
        return self._cached(entry, "latents")

    def tokens(self, entry: ClipEntry) -> np.ndarray:
        """Return the cached image tokens of the whole clip, (f, 1, d) float16, as a memory map."""
        return self._cached(entry, "tokens")

    def path(self, entry: ClipEntry) -> Path:
        """Return the folder of a clip."""
        return clip_folder(self.folder, entry.name)

    def _cached(self, entry: ClipEntry, cache: str) -> np.ndarray:
        path = self.path(entry) / f"{cache}.npy"
        with _media_errors(path):
            return np.load(path, mmap_mode="r")


def clip_folder(folder: Path, name: str) -> Path:
    """Return the folder of a clip in a data set; different names give different folders."""
    return folder / CLIPS / quote(name, safe="+ ,()[]@")


def frame_path(clip: Path, number: int, suffix: str) -> Path:
    """Return the path of a frame in a clip's folder."""
    return clip / "frames" / f"{number:06d}.{suffix}"


def entry_from(values: Mapping[str, Any]) -> ClipEntry:
    """Return the entry of a clip from its JSON record."""
    spans = tuple(Span(*span) for span in values["spans"])
    return ClipEntry(**{**values, "spans": spans})


def _read_manifest(path: Path) -> Manifest:
    if not path.is_file():
        raise InputError(
            f"clips got {path.parent}; it holds no {MANIFEST}: nothing was prepared there, or the "
            f"preparation did not end. {WAY_OUT}: it resumes where it stopped."
        )
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        version = values.pop("version")
        if version != VERSION:
            raise InputError(
                f"clips got {path.parent}, of version {version}; this program reads {VERSION}. "
                f"{WAY_OUT}, into another folder."
            )
        clips = tuple(entry_from(clip) for clip in values.pop("clips"))
        return Manifest(**{**values, "size": Size(*values["size"]), "clips": clips})
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"clips got {path}, which is damaged ({error}). {WAY_OUT}: it is written again."
        ) from error


@contextmanager
def _media_errors(path: Path) -> Iterator[None]:
    """Turn all errors of reading a file into MediaError with its name."""
    try:
        yield
    except (OSError, ValueError, KeyError, EOFError, BadZipFile, MediaError) as error:
        raise MediaError(
            f"clips got {path}, which is missing or damaged ({error}). Delete its clip's folder; "
            f"{WAY_OUT.lower()} to make it again."
        ) from error
