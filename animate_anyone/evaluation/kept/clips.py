"""The folder of the generated clips: written as they are made, at the size they are made in."""

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

from torch import Tensor

from ...errors import InputError, MediaError
from ...json_files import read_record
from ...media import VideoWriter, to_bytes, write_picture
from ...names.some import some
from ...places import begin_file, check_folder, temporary_path
from ...types import Size

MADE = "made.json"
Kind = Literal["mp4", "png"]  # a video, or a folder of pictures without loss


class ClipWriter:
    """Writes the frames of one clip as they are made."""

    def __init__(self, path: Path, kind: Kind, fps: float, files: ExitStack) -> None:
        """Write to a path; the stack closes what is opened."""
        self.name = path.name
        self._path, self._fps, self._files = path, fps, files
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
                write_picture(self._path / f"{self._frames:06d}.png", picture)
                self._frames += 1
            return
        if self._video is None:
            size = Size(pictures.shape[2], pictures.shape[1])
            self._video = self._files.enter_context(VideoWriter(self._path, size, self._fps))
        self._video.write(pictures)


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
            writer = ClipWriter(part, self.kind, fps, files)
            writer.name = name
            try:
                yield writer
            except MediaError as error:  # names the folder that is only for now
                said = str(error).replace(part.name, name)
                raise MediaError(said.replace("out got", "keep-clips got", 1)) from error
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
    check_folder(folder)
    path = folder / MADE
    same = json.loads(json.dumps({**same, "kind": kind}))
    if not path.is_file():
        others = sorted(p.name for p in folder.iterdir() if not p.name.startswith("."))
        if others and MADE not in others:
            raise InputError(
                f"keep-clips got {folder}, which holds other things ({some(others)}); "
                "clips of a test are kept in a folder of their own. Name a new folder."
            )
        begin_file(path, [json.dumps(same, indent=1), "\n"])
    there = read_record(path, "keep-clips")
    unlike = [name for name in {**same, **there} if same.get(name) != there.get(name)]
    if unlike:
        raise InputError(
            f"keep-clips got {folder}, which holds clips of another test (they differ in "
            f"{some(sorted(unlike))}; see {MADE}). Choose another folder."
        )
    return KeptClips(folder, kind)
