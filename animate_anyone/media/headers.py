"""What a video's container says and PyAV does not give: edges to cut, and how alpha is meant.

Edges are `clap` of MP4 and PixelCrop of Matroska; FFmpeg's own player and converter cut them from
version 7.1 on. The graphics mode of QuickTime says whether colours are multiplied by alpha. The
boxes are read here; of the file's other bytes nothing is read.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from ..types import Size
from .pictures import Background

_MOST = 1 << 16  # bytes of a box that is read whole; those of interest are far smaller
_SAMPLE_PX, _SAMPLE_BOXES = 24, 78  # bytes of a sample entry before its size, and its own boxes
# Matroska's numbers of elements.
_EBML, _SEGMENT, _TRACKS, _TRACK, _TYPE = 0x1A45DFA3, 0x18538067, 0x1654AE6B, 0xAE, 0x83
_VIDEO, _WIDTH, _HEIGHT = 0xE0, 0xB0, 0xBA
_CROPS = {0x54CC: "left", 0x54BB: "top", 0x54DD: "right", 0x54AA: "bottom"}
_MATTES: dict[int, Background] = {257: "white", 258: "black"}  # graphics modes of QuickTime
_CLUSTER = 0x1F43B675  # frames; what describes them comes before


@dataclass(frozen=True, kw_only=True)
class Crop:
    """Pixels to leave out at the edges of every frame, as it is stored."""

    stored: Size  # of the frames, as the container says
    left: int = 0
    top: int = 0
    right: int = 0
    bottom: int = 0

    @property
    def size(self) -> Size:
        """Return the size of what is shown."""
        return Size(
            self.stored.width - self.left - self.right, self.stored.height - self.top - self.bottom
        )

    @property
    def filter(self) -> tuple[str, str]:
        """Return the filter of FFmpeg that does it, and its arguments."""
        size = self.size
        return "crop", f"w={size.width}:h={size.height}:x={self.left}:y={self.top}:exact=1"

    @property
    def note(self) -> str:
        """Return what is done, for a report."""
        return (
            f"The file says to show only a part of its frames: {self.size.width}x"
            f"{self.size.height} of {self.stored.width}x{self.stored.height} pixels, from "
            f"({self.left}, {self.top}) on; the rest was cut."
        )


def crop_of(
    path: Path,
    number: int = 0,  # of the video among those of the file
) -> Crop | None:
    """Return what is to be cut from the frames of a video; None: nothing, or no such container."""
    with suppress(OSError, ValueError, IndexError, ZeroDivisionError), path.open("rb") as file:
        head = file.read(12)
        if head[:4] == _EBML.to_bytes(4, "big"):
            crop = list(_of_matroska(file, path.stat().st_size))[number]
        elif head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"):
            crop = list(_of_mp4(file, path.stat().st_size))[number]
        else:
            return None
        edges = (crop.left, crop.top, crop.right, crop.bottom)
        if any(edges) and min(*edges, crop.size.width - 1, crop.size.height - 1) >= 0:
            return crop
    return None


def matte_of(
    path: Path,
    number: int = 0,  # of the video among those of the file
) -> Background | None:
    """Return on which colour a QuickTime file says that its transparent parts were laid already.

    None: its colours are not multiplied by alpha, as in most files, or it is another container.
    """
    with suppress(OSError, ValueError, IndexError), path.open("rb") as file:
        track = list(_videos_of_mp4(file, path.stat().st_size))[number]
        for start, _ in _boxes(file, *track, b"mdia", b"minf", b"vmhd"):
            return _MATTES.get(_whole(_read(file, start + 4, start + 6)))
    return None


def _of_mp4(file: BinaryIO, end: int) -> Iterator[Crop]:
    for track in _videos_of_mp4(file, end):
        for start, stop in _boxes(file, *track, b"mdia", b"minf", b"stbl", b"stsd"):
            entry = start + 16  # behind version, number of entries, and size and name of the first
            sides = _read(file, entry + _SAMPLE_PX, entry + _SAMPLE_PX + 4)
            stored = Size(_whole(sides[:2]), _whole(sides[2:]))
            clap = next(_boxes(file, entry + _SAMPLE_BOXES, stop, b"clap"), (0, 0))
            yield _by_aperture(stored, _read(file, *clap))


def _videos_of_mp4(file: BinaryIO, end: int) -> Iterator[tuple[int, int]]:
    for track in _boxes(file, 0, end, b"moov", b"trak"):
        handler = next(_boxes(file, *track, b"mdia", b"hdlr"), (0, 0))
        if _read(file, *handler)[8:12] == b"vide":
            yield track


def _by_aperture(stored: Size, data: bytes) -> Crop:
    """Return the crop of a box `clap`: size, and its middle's distance from that of the frame."""
    if len(data) < 32:
        return Crop(stored=stored)
    numbers = [int.from_bytes(data[i : i + 4], "big", signed=True) for i in range(0, 32, 4)]
    width, height, right, down = (numbers[i] / numbers[i + 1] for i in range(0, 8, 2))
    left, top = (
        round((stored.width - width) / 2 + right),
        round((stored.height - height) / 2 + down),
    )
    return Crop(
        stored=stored,
        left=left,
        top=top,
        right=stored.width - left - round(width),
        bottom=stored.height - top - round(height),
    )


def _boxes(file: BinaryIO, start: int, end: int, *names: bytes) -> Iterator[tuple[int, int]]:
    """Yield start and end of the content of all boxes at a path of names."""
    while start + 8 <= end:
        head = _read(file, start, start + 16)
        size, at = _whole(head[:4]), start + 8
        if size == 1:
            size, at = _whole(head[8:16]), start + 16
        stop = start + size if size else end
        if stop <= start or stop > end:
            return
        if head[4:8] == names[0]:
            if len(names) == 1:
                yield at, stop
            else:
                yield from _boxes(file, at, stop, *names[1:])
        start = stop


def _of_matroska(file: BinaryIO, end: int) -> Iterator[Crop]:
    for track in _elements(file, 0, end, _SEGMENT, _TRACKS, _TRACK):
        kind = next(_elements(file, *track, _TYPE), (0, 0))
        if _whole(_read(file, *kind)) != 1:
            continue
        for video in _elements(file, *track, _VIDEO):
            numbers = {
                name: _whole(_read(file, *next(_elements(file, *video, name), (0, 0))))
                for name in (_WIDTH, _HEIGHT, *_CROPS)
            }
            edges = {edge: numbers[name] for name, edge in _CROPS.items()}
            yield Crop(stored=Size(numbers[_WIDTH], numbers[_HEIGHT]), **edges)


def _elements(file: BinaryIO, start: int, end: int, *names: int) -> Iterator[tuple[int, int]]:
    """Yield start and end of the content of all elements at a path of names."""
    while start < end:
        head = _read(file, start, start + 12)
        name, length = _variable(head, with_marker=True)
        size, more = _variable(head[length:], with_marker=False)
        at = start + length + more
        stop = end if size == (1 << 7 * more) - 1 else min(at + size, end)  # or not known
        if name == names[0]:
            if len(names) == 1:
                yield at, stop
            else:
                yield from _elements(file, at, stop, *names[1:])
        if name == _CLUSTER or stop <= start:
            return
        start = stop


def _variable(data: bytes, with_marker: bool) -> tuple[int, int]:
    """Return a number of variable length, and its length; IndexError if there is none."""
    length = 9 - data[0].bit_length()
    number = _whole(data[:length])
    return (number if with_marker else number & (1 << 7 * length) - 1), length


def _whole(data: bytes) -> int:
    return int.from_bytes(data, "big")


def _read(file: BinaryIO, start: int, end: int) -> bytes:
    file.seek(start)
    return file.read(max(0, min(end - start, _MOST)))
