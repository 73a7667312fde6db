"""Odd moving pictures, and odd times of videos."""

import struct
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image

from ..case import Case, MismatchError
from ..clip_checks import counts, shows, whole
from ..clip_files import (
    HEIGHT,
    RED,
    WIDTH,
    Make,
    coded,
    counted,
    cut,
    holding,
    moving,
    quarters,
    video,
)
from ..clips import BLACK, BT601, LOSSLESS, a_case

_STEPS = [np.dstack([frame, np.full(frame.shape[:2], 255, np.uint8)]) for frame in counted(6)]
_SIX = "6 frames at 10 per second"


def _film(name: str, frames: int = 24, **how: Any) -> Make:  # noqa: ANN401
    return video(name, counted(frames), tags=BT601, options=LOSSLESS, **how)


def _gif_delays(make: Make, hundredths: int) -> Make:
    """Return a maker of a GIF whose frames all claim to last so long."""

    def patch(folder: Path) -> Path:
        path = make(folder)
        data = bytearray(path.read_bytes())
        at = 0
        while (at := data.find(b"\x21\xf9\x04", at)) >= 0:
            data[at + 4 : at + 6] = struct.pack("<H", hundredths)
            at += 8
        path.write_bytes(data)
        return path

    return patch


def _sprite(name: str, **more: Any) -> Make:  # noqa: ANN401
    """Return a maker of a moving picture: a red square that moves over nothing."""

    def make(folder: Path) -> Path:
        frames = []
        for number in range(3):
            frame = np.zeros((HEIGHT, WIDTH, 4), np.uint8)
            frame[:, 20 * number : 20 * number + 20] = (*RED, 255)
            frame[0, 20 * number] = (*RED, 128)  # else WebP leaves alpha out
            frames.append(Image.fromarray(frame))
        first, *rest = frames
        first.save(folder / name, save_all=True, append_images=rest, duration=100, loop=0, **more)
        return folder / name

    return make


def _alone(path: Path) -> str:
    """Check that the square of each frame stands alone on white: nothing stays behind."""
    _, frames = whole(path)
    if len(frames) != 3:
        raise MismatchError(f"{len(frames)} frames")
    for number, frame in enumerate(frames):
        columns = frame[24].astype(int)
        inside = slice(20 * number + 2, 20 * number + 18)
        outside = np.delete(columns, slice(20 * number, 20 * number + 20), 0)
        off = max(np.abs(columns[inside] - RED).max(), np.abs(outside - 255).max())
        if off > 6:
            raise MismatchError(f"frame {number} is off by {off} of 255")
    return "each square alone on white"


def _turned_webp(folder: Path) -> Path:
    exif = Image.Exif()
    exif[0x0112] = 6
    first = Image.fromarray(np.ascontiguousarray(np.rot90(quarters())))
    second = Image.fromarray(np.ascontiguousarray(np.rot90(quarters())) // 2)
    path = folder / "turned.webp"
    first.save(
        path, save_all=True, append_images=[second, first], duration=100, lossless=True, exif=exif
    )
    return path


def _damaged(make: Make, share: float, length: int) -> Make:
    """Return a maker of a file with other bytes in its middle."""

    def harm(folder: Path) -> Path:
        path = make(folder)
        data = bytearray(path.read_bytes())
        at = round(share * len(data))
        data[at : at + length] = bytes(length)
        path.write_bytes(data)
        return path

    return harm


def _with_bytes(make: Make, more: bytes) -> Make:
    def add(folder: Path) -> Path:
        path = make(folder)
        path.write_bytes(path.read_bytes() + more)
        return path

    return add


def _grows(folder: Path) -> Path:
    """Write a transport stream whose second half has another size."""
    path = folder / "grows.ts"
    small = video("a.ts", [quarters()] * 4, tags=BT601)(folder)
    large = video("b.ts", [quarters(96, 72)] * 4, tags=BT601, times=range(200, 400, 50))(folder)
    path.write_bytes(small.read_bytes() + large.read_bytes())
    return path


def _from_the_middle(folder: Path) -> Path:
    """Write a transport stream that begins between two key frames."""
    path = video("a.ts", _NOISE, tags=BT601, options={"g": "5"})(folder)
    data = path.read_bytes()
    start = len(data) // 188 // 2 * 188
    path.write_bytes(data[start:])
    return path


def _told(*words: str) -> Any:  # noqa: ANN401
    def read(path: Path) -> str:
        info, frames = whole(path)
        notes = " ".join(info.remarks(len(frames)))
        for word in words:
            if word not in notes:
                raise MismatchError(
                    f"{len(frames)} of {info.frames} frames, {info.fps} fps; {notes!r}"
                )
        return notes

    return read


def _stamped(name: str, stamps: list[int], base: Fraction) -> Make:
    """Return a maker of a Matroska file of counted frames with these time stamps."""

    def make(folder: Path) -> Path:
        path = folder / name
        with av.open(str(path), "w") as out:
            stream: Any = out.add_stream("ffv1", rate=12)
            stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv444p"
            stream.codec_context.time_base = base
            stream.codec_context.colorspace = 6
            for picture_, stamp in zip(counted(len(stamps)), stamps, strict=True):
                frame = coded(picture_, "yuv444p", 5, full=False)
                frame.pts, frame.time_base = stamp, base
                out.mux(stream.encode(frame))
            out.mux(stream.encode(None))
        return path

    return make


_NOISE = list(np.random.default_rng(0).integers(0, 255, (20, HEIGHT, WIDTH, 3), np.uint8))
_NOISY = video(
    "noise.mp4", _NOISE, tags=BT601, options={"g": "5"}, container={"movflags": "faststart"}
)
_GIF = moving("a.gif", counted(6), 100)

MOVING: tuple[Case, ...] = (
    a_case("GIF whose frames claim to last 0 s", _SIX, _gif_delays(_GIF, 0), counts(range(6), 10)),
    a_case(
        "GIF whose frames claim to last 1/100 s", _SIX, _gif_delays(_GIF, 1), counts(range(6), 10)
    ),
    a_case(
        "GIF of 50 frames per second", "6 frames at 50", _gif_delays(_GIF, 2), counts(range(6), 50)
    ),
    a_case(
        "GIF of one frame every ten minutes",
        "1/600 frames per second",
        _gif_delays(_GIF, 60000),
        counts(range(6), 0.002),
    ),
    a_case(
        "GIF of one frame",
        "a picture",
        moving("a.gif", counted(1), 100),
        shows((BLACK,) * 4, frames=1),
    ),
    a_case(
        "GIF, each frame on nothing (disposal 2)",
        "nothing stays behind",
        _sprite("a.gif", disposal=2),
        _alone,
    ),
    a_case(
        "animated WebP, each frame on nothing",
        "nothing stays behind",
        _sprite("a.webp", lossless=True),
        _alone,
    ),
    a_case(
        "animated PNG, each frame on nothing (dispose 1)",
        "nothing stays behind",
        _sprite("a.png", disposal=1, blend=0),
        _alone,
    ),
    a_case(
        "animated PNG, each frame goes back (dispose 2)",
        "nothing stays behind",
        _sprite("a.png", disposal=2, blend=1),
        _alone,
    ),
    a_case(
        "animated PNG, each frame replaces (blend 0)",
        "nothing stays behind",
        _sprite("a.png", disposal=0, blend=0),
        _alone,
    ),
    a_case(
        "animated AVIF", _SIX, moving("a.avif", counted(6), 100, quality=100), counts(range(6), 10)
    ),
    a_case(
        "animated AVIF with alpha",
        "nothing stays behind",
        _sprite("a.avif", quality=100, subsampling="4:4:4"),
        _alone,
    ),
    a_case(
        "animated WebP, turned by its EXIF data",
        "upright, within 4",
        _turned_webp,
        shows(frames=3, within=255, size=(WIDTH, HEIGHT)),
    ),
    a_case(
        "animated PNG whose frames claim to last 0 s",
        _SIX,
        moving("a.png", _STEPS, 0),
        counts(range(6), 10),
    ),
    a_case(
        "animated WebP of one frame",
        "a picture",
        moving("a.webp", [quarters()], 100, lossless=True),
        shows(frames=1, within=0),
    ),
    a_case(
        "GIF that broke off",
        "refused",
        cut(moving("a.gif", _NOISE, 100), 0.6),
        shows(),
        "cannot be decoded",
    ),
    a_case(
        "animated WebP that broke off",
        "refused",
        cut(moving("a.webp", _NOISE, 100), 0.6),
        shows(),
        "cannot be decoded",
    ),
    a_case(
        "animated PNG that broke off",
        "refused",
        cut(moving("a.png", _NOISE, 100), 0.6),
        shows(),
        "cannot be decoded",
    ),
    a_case(
        "video of one frame",
        "one frame",
        video("one.mp4", [quarters()], tags=BT601),
        shows(frames=1),
    ),
    a_case(
        "video of 1000 frames per second",
        "24 frames at 1000",
        _stamped("a.mkv", list(range(24)), Fraction(1, 1000)),
        counts(range(24), 1000),
    ),
    a_case(
        "video of 24000/1001 frames per second",
        "24 frames at 23.976",
        _stamped("a.mkv", [round(n * 1001 / 24) for n in range(24)], Fraction(1, 1000)),
        counts(range(24), 23.976),
    ),
    a_case(
        "one frame in a minute",
        "1/60 frames per second",
        _stamped("a.mkv", [60000 * n for n in range(4)], Fraction(1, 1000)),
        counts(range(4), 0.017),
    ),
    a_case(
        "first frame at ten seconds",
        "24 frames at 12",
        _film("late.mkv", times=range(6000, 7200, 50)),
        counts(range(24), 12),
    ),
    a_case(
        "three frames of 24 left out",
        "the one before is held; told",
        _film("gap.mp4", 21, times=[50 * n for n in range(24) if n not in (12, 13, 14)]),
        counts([*range(12), 11, 11, 11, *range(12, 21)], 12, "varies"),
    ),
    a_case(
        "two frames at the same moment",
        "told",
        _stamped("a.mkv", [0, 83, 83, 167, 250, 333], Fraction(1, 1000)),
        _told("varies"),
    ),
    a_case(
        "time stamps that jump by an hour",
        "one after another; told",
        _stamped("a.mkv", [0, 83, 167, 3_600_000, 3_600_083], Fraction(1, 1000)),
        _told("time stamps of the file jump"),
    ),
    a_case(
        "fragments of a stream (fMP4)",
        "24 frames at 12",
        _film("frag.mp4", container={"movflags": "frag_keyframe+empty_moov"}),
        counts(range(24), 12),
    ),
    a_case(
        "B-frames out of order",
        "24 frames at 12",
        video(
            "b.mp4",
            counted(24),
            tags=BT601,
            options={"qp": "0", "bf": "3", "x264-params": "b-adapt=0:bframes=3"},
        ),
        counts(range(24), 12),
    ),
    a_case(
        "bytes lost in the middle",
        "refused",
        _damaged(_NOISY, 0.5, 2000),
        shows(),
        "cannot be decoded",
    ),
    a_case(
        "bytes behind its end",
        "as without them",
        _with_bytes(_film("a.mp4"), bytes(5000)),
        counts(range(24), 12),
    ),
    a_case(
        "a size that changes in the middle (.ts)",
        "scaled to the first; within 10",
        _grows,
        shows(within=10),
    ),
    a_case(
        "a recording that begins between key frames (.ts)",
        "told",
        _from_the_middle,
        _told("could be read"),
    ),
    a_case(
        "header alone of an MP4",
        "refused",
        holding("a.mp4", b"\0\0\0\x18ftypisom\0\0\2\0isomiso2"),
        shows(),
        "cannot be decoded",
    ),
)
