"""Makers of clips: small files as cameras, phones, editors and the web write them."""

import struct
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.stream import Disposition
from av.video.frame import VideoFrame
from PIL import Image

WIDTH, HEIGHT, FRAMES = 64, 48, 4
# Colours of the quarters of the test picture: no turn or mirroring leaves all in their places.
RED, GREEN, BLUE, GREY = (200, 40, 40), (40, 180, 60), (50, 60, 200), (190, 190, 190)
QUARTERS = (RED, GREEN, BLUE, GREY)
ONE = 1 << 16  # 1.0 in a display matrix
Make = Callable[[Path], Path]


def quarters(width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:  # (H, W, 3) uint8
    """Return a picture with red, green, blue and grey quarters, row by row."""
    picture = np.empty((height, width, 3), np.uint8)
    for number, colour in enumerate(QUARTERS):
        rows = slice(height // 2) if number < 2 else slice(height // 2, None)
        columns = slice(width // 2) if number % 2 == 0 else slice(width // 2, None)
        picture[rows, columns] = colour
    return picture


def see_through(width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:  # (H, W, 4) uint8
    """Return the test picture whose right half is transparent."""
    alpha = np.full((height, width, 1), 255, np.uint8)
    alpha[:, width // 2 :] = 0
    return np.concatenate([quarters(width, height), alpha], axis=2)


def counted(frames: int) -> list[np.ndarray]:
    """Return grey pictures, the brighter the later: 10 times the frame's number."""
    return [np.full((HEIGHT, WIDTH, 3), 10 * number, np.uint8) for number in range(frames)]


def video(
    name: str,
    pictures: Sequence[np.ndarray] | None = None,  # (H, W, 3 or 4) uint8; None: the quarters
    *,
    codec: str = "libx264",
    pix_fmt: str = "yuv444p",
    matrix: int = 5,  # FFmpeg's number of the matrix by which the colours are really coded
    full: bool = False,  # values use the whole range
    tags: dict[str, int] | None = None,  # what the file says: colorspace, color_range, ...
    times: Iterable[int] | None = None,  # of the frames, in 1/600 s; None: 12 frames per second
    options: dict[str, str] | None = None,  # of the encoder
    container: dict[str, str] | None = None,  # of the file
    pixel: Fraction | None = None,  # width of a pixel divided by its height
    even: int | None = None,  # frames per second, for formats without time stamps of their own
) -> Make:
    """Return a function that writes a video into a folder."""

    def make(folder: Path) -> Path:
        shown = [quarters()] * FRAMES if pictures is None else pictures
        path = folder / name
        stamps = list(range(0, 50 * len(shown), 50) if times is None else times)
        base = Fraction(1, 600)
        if even:
            stamps, base = list(range(len(shown))), Fraction(1, even)
        with av.open(f"file:{path}", "w", options=container or {}) as out:
            stream: Any = out.add_stream(codec, rate=even or 12)
            stream.height, stream.width = shown[0].shape[:2]
            stream.pix_fmt, stream.options = pix_fmt, options or {}
            stream.codec_context.time_base = base
            if pixel:
                stream.codec_context.sample_aspect_ratio = pixel
            for field, value in (tags or {}).items():
                setattr(stream.codec_context, field, value)
            for picture, stamp in zip(shown, stamps, strict=True):
                frame = coded(picture, pix_fmt, matrix, full)
                frame.pts, frame.time_base = stamp, base
                out.mux(stream.encode(frame))
            out.mux(stream.encode(None))
        return path

    return make


PLAIN = video("plain.mp4", tags={"colorspace": 6})


def coded(picture: np.ndarray, pix_fmt: str, matrix: int, full: bool) -> VideoFrame:
    """Return a picture as a frame whose colours are coded by this matrix and range."""
    frame = VideoFrame.from_ndarray(picture, format="rgba" if picture.shape[2] == 4 else "rgb24")
    if "rgb" in pix_fmt or "bgr" in pix_fmt:
        return frame.reformat(format=pix_fmt)
    limits = 2 if full else 1
    return frame.reformat(format=pix_fmt, dst_colorspace=matrix, dst_color_range=limits)


def turned(make: Make, matrix: Sequence[int]) -> Make:
    """Return a maker of an MP4 whose display matrix is (a, b, c, d)."""

    def turn(folder: Path) -> Path:
        path = make(folder)
        data = bytearray(path.read_bytes())
        at = data.index(b"tkhd") + 44
        a, b, c, d = (round(each * ONE) for each in matrix)
        data[at : at + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
        path.write_bytes(data)
        return path

    return turn


def with_aperture(make: Make, width: int, height: int, right: int, down: int) -> Make:
    """Return a maker of an MP4 of which a part is to be shown, away from the middle in pixels."""

    def add(folder: Path) -> Path:
        path = make(folder)
        data = bytearray(path.read_bytes())
        box = struct.pack(">I4s8i", 40, b"clap", width, 1, height, 1, right, 1, down, 1)
        at = data.index(b"moov")
        for name in (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd", b"avc1"):
            at = data.index(name, at) - 4
            size = int.from_bytes(data[at : at + 4], "big")
            data[at : at + 4] = (size + len(box)).to_bytes(4, "big")
            at += 4
        end = at - 4 + size
        data[end:end] = box
        path.write_bytes(data)
        return path

    return add


def with_mode(make: Make, mode: int) -> Make:
    """Return a maker of an MP4 or MOV with a graphics mode: 256 is plain alpha, 257 multiplied."""

    def write(folder: Path) -> Path:
        path = make(folder)
        data = bytearray(path.read_bytes())
        at = data.index(b"vmhd") + 8
        data[at : at + 2] = mode.to_bytes(2, "big")
        path.write_bytes(data)
        return path

    return write


def with_crop(make: Make, left: int, top: int, right: int, bottom: int) -> Make:
    """Return a maker of an MKV of whose frames the edges are to be cut, in pixels."""
    edges = zip(
        (b"\x54\xcc", b"\x54\xbb", b"\x54\xdd", b"\x54\xaa"),
        (left, top, right, bottom),
        strict=True,
    )
    crops = b"".join(name + bytes((0x81, pixels)) for name, pixels in edges)

    def add(folder: Path) -> Path:
        path = make(folder)
        data, at, size, outer = bytearray(path.read_bytes()), 0, 0, []
        for name in (b"\x18\x53\x80\x67", b"\x16\x54\xae\x6b", b"\xae", b"\xe0"):
            while True:  # over the elements beside each other
                found = data[at : at + 9 - data[at].bit_length()]
                at += len(found)
                length = 9 - data[at].bit_length()
                size = int.from_bytes(data[at : at + length], "big") & (1 << 7 * length) - 1
                if found == name:
                    break
                at += length + size
            outer.append((at, length, size))
            at += length
        data[at + size : at + size] = crops
        for at, length, size in outer:
            data[at : at + length] = ((size + len(crops)) | 1 << 7 * length).to_bytes(length, "big")
        path.write_bytes(data)
        return path

    return add


def renamed(make: Make, name: str) -> Make:
    """Return a maker that gives a file another name."""
    return lambda folder: make(folder).rename(folder / name)


def cut(make: Make, share: float) -> Make:
    """Return a maker that writes only the beginning of a file."""

    def shorten(folder: Path) -> Path:
        path = make(folder)
        data = path.read_bytes()
        path.write_bytes(data[: round(share * len(data))])
        return path

    return shorten


def holding(name: str, data: bytes) -> Make:
    """Return a maker of a file with these bytes."""

    def write(folder: Path) -> Path:
        path = folder / name
        path.write_bytes(data)
        return path

    return write


def trimmed(folder: Path) -> Path:
    """Write a clip of 24 frames whose edit list leaves the first 6 out."""
    path = folder / "trimmed.mp4"
    with av.open(str(path), "w", options={"avoid_negative_ts": "disabled"}) as out:
        stream: Any = out.add_stream("libx264", rate=12)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv444p"
        stream.options = {"bf": "0", "g": "24"}
        for number, picture in enumerate(counted(24)):
            frame = coded(picture, "yuv444p", 5, full=False)
            frame.pts, frame.time_base = number, Fraction(1, 12)
            for packet in stream.encode(frame):
                out.mux(_earlier(packet))
        for packet in stream.encode(None):
            out.mux(_earlier(packet))
    return path


def _earlier(packet: Any) -> Any:  # noqa: ANN401 - PyAV says that a packet may have no time
    shift = round(Fraction(6, 12) / packet.time_base)
    packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
    return packet


def interlaced(folder: Path) -> Path:
    """Write a clip whose rows alternate between two moments, and which says so."""
    bars = np.zeros((8, HEIGHT, WIDTH, 3), np.uint8)
    for number, frame in enumerate(bars):
        frame[:, 4 * number : 4 * number + 16] = 220
    woven = []
    for first, second in zip(bars[::2], bars[1::2], strict=True):
        frame = first.copy()
        frame[1::2] = second[1::2]
        woven.append(frame)
    options = {"flags": "+ildct+ilme", "x264-params": "tff=1", "crf": "8"}
    return video("interlaced.mp4", woven, pix_fmt="yuv420p", options=options)(folder)


def sound(name: str, cover: bool = False) -> Make:
    """Return a maker of a file with sound alone, or with a cover picture too."""

    def make(folder: Path) -> Path:
        path = folder / name
        with av.open(str(path), "w") as out:
            stream: Any = out.add_stream("aac", rate=48000)
            stream.codec_context.layout = "mono"
            picture: Any = None
            if cover:
                picture = out.add_stream("mjpeg", rate=1)
                picture.width, picture.height, picture.pix_fmt = WIDTH, HEIGHT, "yuvj444p"
                picture.disposition = Disposition.attached_pic.value
                out.mux(picture.encode(coded(quarters(), "yuvj444p", 5, full=True)))
                out.mux(picture.encode(None))
            frame = av.AudioFrame.from_ndarray(
                np.zeros((1, 4800), np.float32), format="fltp", layout="mono"
            )
            frame.sample_rate, frame.pts = 48000, 0
            out.mux(stream.encode(frame))
            out.mux(stream.encode(None))
        return path

    return make


def moving(
    name: str,
    frames: Sequence[np.ndarray],
    durations: int | list[int],
    **more: Any,  # noqa: ANN401 - options of the format
) -> Make:
    """Return a maker of a GIF, WebP or APNG; the durations are in ms."""

    def make(folder: Path) -> Path:
        first, *rest = [Image.fromarray(frame) for frame in frames]
        path = folder / name
        first.save(path, save_all=True, append_images=rest, duration=durations, loop=0, **more)
        return path

    return make


def picture(name: str, pixels: np.ndarray, mode: str | None = None, **more: Any) -> Make:  # noqa: ANN401
    """Return a maker of a picture file."""

    def make(folder: Path) -> Path:
        image = Image.fromarray(pixels)
        path = folder / name
        (image if mode is None else image.convert(mode)).save(path, **more)
        return path

    return make


def together(*makers: Make) -> Make:
    """Return a maker of a folder that holds all these files."""

    def make(folder: Path) -> Path:
        inside = folder / "frames"
        inside.mkdir()
        for each in makers:
            each(inside)
        return inside

    return make
