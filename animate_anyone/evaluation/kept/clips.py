"""The folder of the generated clips: written as they are made, at the size they are made in."""

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

import numpy as np
from torch import Tensor

from ...errors import InputError, MediaError
from ...json_files import read_record
from ...media import VideoWriter, to_bytes, write_picture
from ...names.some import some
from ...places import begin_file, cannot_write, check_folder, temporary_path
from ...types import Size

MADE = "made.json"
OPTION = "keep-clips"  # what the user calls the folder, for messages
Kind = Literal["mp4", "png"]  # a video, or a folder of pictures without loss


class ClipWriter:
    """Writes the frames of one clip as they are made."""

    def __init__(
        self,
        path: Path,  # of the clip
        kind: Kind,
        fps: float,
        files: ExitStack,  # closes what is opened
        now: Path | None = None,  # where it lies until it is whole; None: the writer knows
    ) -> None:
        """Write a clip."""
        self.name = path.name
        self._path, self._fps, self._files = path, fps, files
        self._now = now or path
        self._kind: Kind = kind
        self._video: VideoWriter | None = None
        self._frames = 0

    def through(self, fit: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
        """Return a function that writes frames, (f, 3, H, W) in 0..1, and then fits them."""

        def written(frames: Tensor) -> Tensor:
            self._write(frames)
            return fit(frames)

        return written

    def _write(self, frames: Tensor) -> None:
        pictures = to_bytes(frames)
        if self._kind == "png":
            for picture in pictures:
                self._write_picture(f"{self._frames:06d}.png", picture)
                self._frames += 1
            return
        if self._video is None:
            size = Size(pictures.shape[2], pictures.shape[1])
            self._video = self._files.enter_context(
                VideoWriter(self._path, size, self._fps, name=OPTION)
            )
        self._video.write(pictures)

    def _write_picture(self, name: str, picture: np.ndarray) -> None:
        try:
            write_picture(self._now / name, picture)
        except MediaError as error:  # which names the folder that is only for now
            cause = error.__cause__ if isinstance(error.__cause__, OSError) else error
            raise MediaError(cannot_write(self._path / name, cause, OPTION)) from error


KeepClip = Callable[[str, float], AbstractContextManager[ClipWriter]]


class KeptClips:
    """The clips of one test in a folder of their own."""

    def __init__(self, folder: Path, kind: Kind = "mp4") -> None:
        """Use a folder that is checked; see `open_clips`."""
        self.folder = folder
        self.kind: Kind = kind

    def has(self, names: tuple[str, ...]) -> bool:
        """Return whether all these clips are there; False for none."""
        return bool(names) and all((self.folder / name).exists() for name in names)

    @contextmanager
    def writer(self, title: str, fps: float) -> Iterator[ClipWriter]:
        """Yield the writer of a clip, which appears when the block ends without an error."""
        name = quote(title, safe="+ ,()[]@")
        with ExitStack() as files:
            if self.kind == "mp4":
                yield ClipWriter(self.folder / f"{name}.mp4", self.kind, fps, files)
                return
            part = temporary_path(self.folder / name)
            files.callback(shutil.rmtree, part, ignore_errors=True)
            yield ClipWriter(self.folder / name, self.kind, fps, files, part)
            with suppress(FileNotFoundError):
                shutil.rmtree(self.folder / name)
            part.rename(self.folder / name)


def open_clips(
    folder: Path,
    same: dict[str, Any],  # what the clips depend on: values of JSON
    kind: Kind = "mp4",
) -> KeptClips:
    """Open a folder for the clips of a test, or begin one.

    InputError if it holds clips of another test, or other things.
    """
    check_folder(folder, name=OPTION)
    path = folder / MADE
    same = json.loads(json.dumps({**same, "kind": kind}))
    if not path.is_file():
        others = sorted(p.name for p in folder.iterdir() if not p.name.startswith("."))
        if others and MADE not in others:
            raise InputError(
                f"{OPTION} got {folder}, which holds other things ({some(others)}); "
                "clips of a test are kept in a folder of their own. Name a new folder."
            )
        begin_file(path, [json.dumps(same, indent=1), "\n"], name=OPTION)
    there = read_record(path, OPTION)
    unlike = [name for name in {**same, **there} if same.get(name) != there.get(name)]
    if unlike:
        raise InputError(
            f"{OPTION} got {folder}, which holds clips of another test (they differ in "
            f"{some(sorted(unlike))}; see {MADE}). Choose another folder."
        )
    return KeptClips(folder, kind)
