"""Reading clips, video files and folders of pictures, frame by frame."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.error import FFmpegError

from ..errors import InputError, MediaError
from ..types import Size
from .pictures import PICTURE_SUFFIXES, cause_of, picture_size, read_bytes


@dataclass(frozen=True, kw_only=True)
class ClipInfo:
    """Facts about a clip that are known before its frames are decoded."""

    path: Path
    frames: int
    size: Size  # of the first frame, rotated upright
    fps: Fraction | None  # average frames per second; None for folders of pictures
    has_audio: bool
    variable: bool = False  # the frame rate varies

    def remarks(
        self,
        read: int,  # number of frames that could be read
        wanted: int | None = None,  # number of frames requested; None: all
    ) -> tuple[str, ...]:
        """Return notes for a report: a varying frame rate, frames that could not be read."""
        wanted = self.frames if wanted is None else wanted
        notes = []
        if self.variable:
            notes.append(
                "The frame rate of the file varies; all frames are used, as if at its average of "
                f"{float(self.fps or 0):.3g} frames per second."
            )
        if read < wanted:
            notes.append(f"{read} of {wanted} frames could be read; the file may be truncated.")
        return tuple(notes)


def clip_info(path: Path | str) -> ClipInfo:
    """Return the facts about a video file, a folder of pictures or a single picture.

    The first frame of a video is decoded, because only a frame holds the camera's rotation.
    """
    path = Path(path)
    pictures = _pictures(path)
    if pictures is not None:
        size = picture_size(pictures[0])
        return ClipInfo(path=path, frames=len(pictures), size=size, fps=None, has_audio=False)
    with _opened_video(path) as container:
        stream = container.streams.video[0]
        fps = stream.average_rate or stream.guessed_rate
        variable = bool(fps and stream.base_rate and abs(stream.base_rate / fps - 1) > 0.01)
        has_audio = bool(container.streams.audio)
        frames = stream.frames or sum(packet.size > 0 for packet in container.demux(stream))
    first = next(frames_of(path), None)
    if first is None:
        raise MediaError(_cannot_decode(path, ValueError("it holds no frame")))
    return ClipInfo(
        path=path,
        frames=frames,
        size=Size(first.shape[1], first.shape[0]),
        fps=fps,
        has_audio=has_audio,
        variable=variable,
    )


def frames_of(path: Path | str) -> Iterator[np.ndarray]:
    """Yield the frames of a video file or folder of pictures, (H, W, 3) uint8 RGB, one by one.

    Pictures of a folder are sorted by name in natural order (frame2 before frame10).
    """
    path = Path(path)
    pictures = _pictures(path)
    if pictures is not None:
        for picture in pictures:
            yield read_bytes(picture)
        return
    with _opened_video(path) as container:
        container.streams.video[0].thread_type = "AUTO"
        for frame in container.decode(video=0):
            # Phones store how they were held, in degrees counter-clockwise.
            turns = round(getattr(frame, "rotation", 0) / 90) % 4
            yield np.ascontiguousarray(np.rot90(frame.to_ndarray(format="rgb24"), turns))


def _pictures(path: Path) -> list[Path] | None:
    """Return the picture files of a folder, or the one picture; None if it is a video."""
    if path.is_dir():
        found = [each for each in path.iterdir() if each.suffix.lower() in PICTURE_SUFFIXES]
        if not found:
            raise InputError(
                f"frames got {path}; the folder holds no pictures "
                f"({', '.join(sorted(PICTURE_SUFFIXES))}). Choose another or give a video file."
            )
        return sorted(found, key=_natural)
    if path.suffix.lower() in PICTURE_SUFFIXES:
        return [path]
    return None


def _natural(path: Path) -> list[tuple[int, str]]:
    return [
        (int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", path.name)
    ]


def open_clip(path: Path) -> InputContainer:
    """Open a video or sound file; InputError or MediaError names the file if this fails."""
    if not path.is_file():
        raise InputError(f"frames got {path}; there is no such file or folder. Check the path.")
    try:
        return av.open(str(path))
    except (OSError, FFmpegError) as error:
        raise MediaError(_cannot_decode(path, error)) from error


@contextmanager
def _opened_video(path: Path) -> Iterator[InputContainer]:
    container = open_clip(path)
    try:
        if not container.streams.video:
            raise InputError(f"frames got {path}; it holds no video. Choose a video file.")
        yield container
    except (OSError, FFmpegError) as error:
        raise MediaError(_cannot_decode(path, error)) from error
    finally:
        container.close()


def _cannot_decode(path: Path, error: Exception) -> str:
    return (
        f"frames got {path}; it cannot be decoded ({cause_of(error)}). "
        f"It may be truncated or damaged: copy or export it again."
    )
