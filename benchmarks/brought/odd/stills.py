"""Odd pictures: turned, deep, of other colours, transparent in every way, and not pictures."""

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageCms

from animate_anyone.media import picture_size, read_picture, to_bytes
from animate_anyone.types import Size

from ..case import Case, MismatchError
from ..clip_checks import a_picture, shows
from ..clip_files import (
    BLUE,
    GREY,
    HEIGHT,
    PLAIN,
    QUARTERS,
    RED,
    WIDTH,
    Make,
    holding,
    picture,
    quarters,
    renamed,
    see_through,
    video,
)
from ..clips import BLACK, WHITE, a_case

_ON_WHITE, _ON_BLACK = (RED, WHITE, BLUE, WHITE), (RED, BLACK, BLUE, BLACK)
_STEPS = ((0, 64, 128, 255), np.repeat(np.repeat(np.array([[0, 64], [128, 255]]), 24, 0), 32, 1))
_GREYS = tuple((v,) * 3 for v in _STEPS[0])
_DEEP = (_STEPS[1] * 257).astype(np.uint16)
# How a camera stored the test picture for each orientation of EXIF, and that it stands upright.
_STORED = {
    1: lambda p: p,
    2: lambda p: p[:, ::-1],
    3: lambda p: p[::-1, ::-1],
    4: lambda p: p[::-1],
    5: lambda p: p.transpose(1, 0, 2),
    6: lambda p: np.rot90(p),
    7: lambda p: p[::-1, ::-1].transpose(1, 0, 2),
    8: lambda p: np.rot90(p, 3),
}


def upright(path: Path) -> str:
    """Check colours, and that the announced size is that of the picture."""
    size = picture_size(path)
    if size != Size(WIDTH, HEIGHT):
        raise MismatchError(f"the announced size is {size}")
    shown = to_bytes(read_picture(path))[0]
    if shown.shape[:2] != (HEIGHT, WIDTH):
        raise MismatchError(f"the picture has {shown.shape}")
    return shows(within=6, frames=1)(path) + "; " + a_picture(within=6)(path)


def _oriented(name: str, turn: int, **more: Any) -> Make:  # noqa: ANN401
    def make(folder: Path) -> Path:
        exif = Image.Exif()
        exif[0x0112] = turn
        stored = np.ascontiguousarray(_STORED[turn](quarters()))
        Image.fromarray(stored).save(folder / name, exif=exif, **more)
        return folder / name

    return make


def png(
    pixels: np.ndarray,
    kind: int,
    depth: int,
    *chunks: tuple[bytes, bytes],
    size: tuple[int, int] | None = None,  # that it claims
) -> bytes:
    """Return a PNG of these samples, with chunks before its pixels."""
    rows, columns = size or pixels.shape[:2]
    data = pixels.astype(">u2" if depth == 16 else np.uint8)
    lines = b"".join(b"\0" + row.tobytes() for row in data)
    head = struct.pack(">IIBBBBB", columns, rows, depth, kind, 0, 0, 0)
    parts = [(b"IHDR", head), *chunks, (b"IDAT", zlib.compress(lines)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in parts
    )


def _linear(pixels: np.ndarray) -> np.ndarray:
    """Return the light of sRGB levels, 0..65535."""
    value = pixels / 255
    light = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    return (65535 * light).round()


def _pq(pixels: np.ndarray) -> np.ndarray:
    """Return the values by SMPTE ST 2084 of sRGB levels whose white is 203 cd/m2, 0..65535."""
    light = _linear(pixels) / 65535 * 203 / 10000
    power = light ** (2610 / 16384)
    top = 3424 / 4096 + 2413 / 128 * power
    return (65535 * (top / (1 + 2392 / 128 * power)) ** (2523 / 32)).round()


def _in_lab(folder: Path) -> Path:
    """Write the test picture in CIELAB, with its profile."""
    srgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    image = ImageCms.profileToProfile(Image.fromarray(quarters()), srgb, lab, outputMode="LAB")
    assert image is not None
    image.save(folder / "a.tif", icc_profile=ImageCms.ImageCmsProfile(lab).tobytes())
    return folder / "a.tif"


def _pages(folder: Path) -> Path:
    first, *rest = [Image.fromarray(np.full((HEIGHT, WIDTH, 3), v, np.uint8)) for v in (9, 99)]
    first.save(folder / "pages.tif", save_all=True, append_images=rest)
    return folder / "pages.tif"


def _premultiplied(folder: Path) -> Path:
    """Write a TIFF whose colours are multiplied by its alpha of one half."""
    half = np.dstack([quarters() // 2, np.full((HEIGHT, WIDTH), 128, np.uint8)])
    path = folder / "half.tif"
    Image.fromarray(half).save(path)
    apart, multiplied = (struct.pack("<HHII", 338, 3, 1, kind) for kind in (2, 1))
    assert apart in path.read_bytes()
    path.write_bytes(path.read_bytes().replace(apart, multiplied))
    return path


def _half(colour: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(round(v * 128 / 255 + 127) for v in colour)


def _jpegs(folder: Path) -> Path:
    """Write two JPEGs one behind the other, as cameras of two lenses do (MPO)."""
    first = Image.fromarray(quarters())
    first.save(folder / "two.mpo", save_all=True, append_images=[first], quality=100)
    return (folder / "two.mpo").rename(folder / "two.jpg")


def _alive(folder: Path) -> Path:
    """Write a JPEG with a video behind it, as phones do."""
    path = picture("live.jpg", quarters(), quality=100, subsampling=0)(folder)
    path.write_bytes(path.read_bytes() + PLAIN(folder).read_bytes())
    return path


_LIGHT = (_linear(quarters()) / 257).round().astype(np.uint8)
_KEY = see_through()[..., :3].copy()
_KEY[:, WIDTH // 2 :] = 1, 2, 3
_AVIF_TURNED = _oriented("a.avif", 6, quality=100, subsampling="4:4:4")


def _as_heif(folder: Path) -> Path:
    path = picture("a.avif", quarters(), quality=100, subsampling="4:4:4")(folder)
    path.write_bytes(path.read_bytes().replace(b"ftypavif", b"ftypmif1", 1))
    return path


def _keyed(folder: Path) -> Path:
    Image.fromarray(_KEY).save(folder / "key.png", transparency=(1, 2, 3))
    return folder / "key.png"


def _palette(folder: Path) -> Path:
    Image.fromarray(see_through()).quantize(8).save(folder / "few.png")
    return folder / "few.png"


STILLS: tuple[Case, ...] = (
    *(
        a_case(
            f"JPEG, orientation {turn} of EXIF",
            "upright, within 6",
            _oriented("a.jpg", turn, quality=100, subsampling=0),
            upright,
        )
        for turn in (1, 2, 3, 4, 5, 7, 8)
    ),
    a_case("PNG, orientation 6 of EXIF", "upright, exactly", _oriented("a.png", 6), upright),
    a_case(
        "WebP, orientation 8 of EXIF",
        "upright, within 6",
        _oriented("a.webp", 8, lossless=True),
        upright,
    ),
    a_case("TIFF, orientation 6", "upright", _oriented("a.tif", 6), upright),
    a_case("AVIF, orientation 6", "upright, within 6", _AVIF_TURNED, upright),
    a_case(
        "AVIF",
        "within 4",
        picture("a.avif", quarters(), quality=100, subsampling="4:4:4"),
        a_picture(),
    ),
    a_case(
        "AVIF whose brand is that of HEIF (mif1)",
        "within 4",
        _as_heif,
        a_picture(),
    ),
    a_case(
        "PNG of 16 bits, RGB",
        "its upper 8 bits, within 1",
        holding("a.png", png(quarters().astype(np.uint16) * 257, 2, 16)),
        a_picture(within=1),
    ),
    a_case(
        "PNG of 16 bits, grey and alpha",
        "on white, within 1",
        holding("a.png", png(np.dstack([_DEEP, np.full_like(_DEEP, 65535)]), 4, 16)),
        a_picture(_GREYS, 1),
    ),
    a_case(
        "PNG of 16 bits with alpha",
        "on white, within 1",
        holding("a.png", png(see_through().astype(np.uint16) * 257, 6, 16)),
        a_picture(_ON_WHITE, 1),
    ),
    a_case(
        "PNG of 1 bit",
        "exactly",
        picture("a.png", np.where(_STEPS[1] > 99, 255, 0).astype(np.uint8), "1"),
        a_picture((BLACK, BLACK, WHITE, WHITE), 0),
    ),
    a_case(
        "PNG of grey and alpha",
        "on white, exactly",
        picture("a.png", see_through(), "LA"),
        a_picture(((88,) * 3, WHITE, (73,) * 3, WHITE), 3),
    ),
    a_case(
        "PNG with one colour as transparent",
        "on white, exactly",
        _keyed,
        a_picture(_ON_WHITE, 0),
    ),
    a_case(
        "PNG with a palette and alpha",
        "on white, within 2",
        _palette,
        a_picture(_ON_WHITE, 2),
    ),
    a_case(
        "PNG in linear light (gAMA 1)",
        "within 3",
        holding("a.png", png(_linear(quarters()), 2, 16, (b"gAMA", struct.pack(">I", 100000)))),
        a_picture(within=3),
    ),
    a_case(
        "PNG of a display (gAMA 1/2.2)",
        "exactly",
        holding("a.png", png(quarters(), 2, 8, (b"gAMA", struct.pack(">I", 45455)))),
        a_picture(within=0),
    ),
    a_case(
        "HDR PNG (PQ)",
        "203 cd/m2 is white, within 6",
        holding("a.png", png(_pq(quarters()), 2, 16, (b"cICP", bytes((1, 16, 0, 1))))),
        a_picture(within=6),
    ),
    a_case(
        "PNG in sRGB by cICP",
        "exactly",
        holding("a.png", png(quarters(), 2, 8, (b"cICP", bytes((1, 13, 0, 1))))),
        a_picture(within=0),
    ),
    a_case("TIFF in CIELAB", "within 8", _in_lab, a_picture(within=8)),
    a_case(
        "grey JPEG",
        "within 2",
        picture("a.jpg", quarters(), "L", quality=100),
        a_picture(((88,) * 3, (124,) * 3, (73,) * 3, GREY), 3),
    ),
    a_case(
        "progressive JPEG",
        "within 4",
        picture("a.jpg", quarters(), quality=100, subsampling=0, progressive=True),
        a_picture(),
    ),
    a_case("stereo JPEG (MPO)", "the first picture, within 4", _jpegs, a_picture(within=6)),
    a_case(
        "JPEG with a video behind it (Motion Photo)", "the picture, within 4", _alive, a_picture()
    ),
    a_case(
        "TIFF of 16 bits, grey", "its upper 8 bits", picture("a.tif", _DEEP), a_picture(_GREYS, 0)
    ),
    a_case(
        "TIFF of 32 bits, grey",
        "refused",
        picture("a.tif", _STEPS[1].astype(np.int32)),
        a_picture(_GREYS, 0),
        "unknown range",
    ),
    a_case(
        "TIFF, colours multiplied by alpha",
        "on white, within 3",
        _premultiplied,
        a_picture(tuple(map(_half, QUARTERS)), 3),
    ),
    a_case(
        "TIFF of two pages", "told", _pages, shows(((9,) * 3,) * 4, said="several frames or pages")
    ),
    a_case(
        "TIFF of an alpha that is not multiplied",
        "on white, exactly",
        picture("a.tif", see_through()),
        a_picture(_ON_WHITE, 0),
    ),
    a_case("BMP", "exactly", picture("a.bmp", quarters()), a_picture(within=0)),
    a_case(
        "BMP of 32 bits",
        "exactly, as browsers show it",
        picture("a.bmp", see_through()),
        a_picture(within=0),
    ),
    a_case(
        "TGA with alpha",
        "on white, exactly",
        picture("a.tga", see_through()),
        shows(_ON_WHITE, within=0),
    ),
    a_case("PPM", "exactly", picture("a.ppm", quarters()), a_picture(within=0)),
    a_case(
        "PGM of 16 bits",
        "its upper 8 bits",
        holding("a.pgm", b"P5 64 48 65535\n" + _DEEP.astype(">u2").tobytes()),
        a_picture(_GREYS, 1),
    ),
    a_case(
        "PGM of 10 bits",
        "within 1",
        holding("a.pgm", b"P5 64 48 1023\n" + (_STEPS[1] * 1023 // 255).astype(">u2").tobytes()),
        a_picture(_GREYS, 1),
    ),
    a_case("JPEG 2000", "exactly", picture("a.jp2", quarters()), a_picture(within=0)),
    a_case(
        "QOI",
        "exactly",
        video("a.qoi", [quarters()], codec="qoi", pix_fmt="rgb24"),
        a_picture(within=0),
    ),
    a_case(
        "OpenEXR (linear light)",
        "within 4; told",
        video("a.exr", [_LIGHT], codec="exr", pix_fmt="gbrpf32le"),
        shows(within=4, said="linear"),
    ),
    a_case(
        "Radiance HDR (linear light)",
        "within 4; told",
        video("a.hdr", [_LIGHT], codec="hdr", pix_fmt="gbrpf32le"),
        shows(within=8, said="linear"),
    ),
    a_case(
        "DPX of a film scanner",
        "within 4",
        video("a.dpx", [quarters()], codec="dpx", pix_fmt="rgb24"),
        shows(),
    ),
    a_case(
        "a photo named .mp4",
        "within 4",
        renamed(picture("a.jpg", quarters(), quality=100, subsampling=0), "a.mp4"),
        a_picture(),
    ),
    a_case(
        "a photo without a suffix",
        "within 4",
        renamed(picture("a.jpg", quarters(), quality=100, subsampling=0), "a"),
        a_picture(),
    ),
)
