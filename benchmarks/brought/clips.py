"""Clips and pictures: what cameras, phones, editors and the web make."""

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np

from .case import Case
from .clip_checks import a_picture, counts, cut_short, shows, smooth
from .clip_files import (
    BLUE,
    FRAMES,
    GREEN,
    GREY,
    HEIGHT,
    PLAIN,
    RED,
    WIDTH,
    Make,
    counted,
    cut,
    interlaced,
    picture,
    quarters,
    see_through,
    together,
    trimmed,
    turned,
    video,
)

WHITE, BLACK = (255, 255, 255), (0, 0, 0)
BT601, BT709, BT2020 = {"colorspace": 6}, {"colorspace": 1}, {"colorspace": 9}
PQ = BT2020 | {"color_primaries": 9, "color_trc": 16}
HLG = BT2020 | {"color_primaries": 9, "color_trc": 18}
LOSSLESS = {"qp": "0"}
SAID_601 = "BT.601 was assumed"
SAID_709 = "BT.709 was assumed"


def _pq(light: float) -> float:
    """Return the value 0..1 of this much light, cd/m2, by SMPTE ST 2084."""
    power = (light / 10000) ** (2610 / 16384)
    top = 3424 / 4096 + 2413 / 128 * power
    return (top / (1 + 2392 / 128 * power)) ** (2523 / 32)


def _srgb(light: float) -> int:
    """Return the level 0..255 of this much light, 0..1."""
    value = 12.92 * light if light < 0.0031308 else 1.055 * light ** (1 / 2.4) - 0.055
    return round(255 * min(value, 1))


LIGHTS = (10.0, 50.0, 203.0, 1000.0)  # cd/m2, of the quarters of the PQ clip
IN_PQ = tuple((round(255 * _pq(light)),) * 3 for light in LIGHTS)
IN_SDR = tuple((_srgb(light / 203),) * 3 for light in LIGHTS)
IN_HLG = ((0,) * 3, (128,) * 3, (191,) * 3, (255,) * 3)
FROM_HLG = (BLACK, (138,) * 3, WHITE, WHITE)


def _filled(colours: Sequence[tuple[int, ...]]) -> np.ndarray:
    """Return the test picture with other colours."""
    shown = quarters()
    for number, colour in enumerate(colours):
        row, column = (number // 2) * HEIGHT // 2, (number % 2) * WIDTH // 2
        shown[row : row + HEIGHT // 2, column : column + WIDTH // 2] = colour
    return shown


def _film(name: str, **how: object) -> Make:
    """Return a maker of 24 counted frames."""
    return video(name, counted(24), tags=BT601, options=LOSSLESS, **how)  # type: ignore[arg-type]


def a_case(
    name: str, expected: str, make: Make, read: Callable[[Path], str], refusal: str | None = None
) -> Case:
    """Return a case in one line."""
    return Case(name=name, expected=expected, make=make, read=read, refusal=refusal)


TURNS: dict[str, tuple[tuple[int, int, int, int], tuple]] = {
    "turned by 90 degrees": ((0, 1, -1, 0), (BLUE, RED, GREY, GREEN)),
    "turned by 180 degrees": ((-1, 0, 0, -1), (GREY, BLUE, GREEN, RED)),
    "turned by 270 degrees": ((0, -1, 1, 0), (GREEN, GREY, RED, BLUE)),
    "mirrored": ((-1, 0, 0, 1), (GREEN, RED, GREY, BLUE)),
    "upside down in a mirror": ((1, 0, 0, -1), (BLUE, GREY, RED, GREEN)),
    "turned and mirrored": ((0, 1, 1, 0), (RED, BLUE, GREEN, GREY)),
    "turned back and mirrored": ((0, -1, -1, 0), (GREY, GREEN, BLUE, RED)),
}

_TURNED = tuple(
    a_case(
        f"phone clip, {name}",
        "upright, colours within 4 of 255",
        turned(PLAIN, matrix),
        shows(colours, size=(HEIGHT, WIDTH) if matrix[0] == 0 else (WIDTH, HEIGHT)),
    )
    for name, (matrix, colours) in TURNS.items()
)

_COLOURS = (
    a_case("MP4, BT.601", "colours within 4 of 255, no note", PLAIN, shows(silent=True)),
    a_case(
        "MP4 below 720 rows without tags",
        "BT.601, within 4; told",
        video("untold.mp4"),
        shows(said=SAID_601),
    ),
    a_case(
        "MP4 of 720 rows without tags",
        "BT.709, within 4; told",
        video("high.mp4", [quarters(32, 720)], matrix=1),
        shows(size=(32, 720), said=SAID_709),
    ),
    a_case(
        "MP4, BT.709, small",
        "by its tags, within 4",
        video("hd.mp4", matrix=1, tags=BT709),
        shows(silent=True),
    ),
    a_case(
        "screen recording with the full range",
        "by its tags, within 4",
        video("full.mp4", full=True, tags=BT601 | {"color_range": 2}),
        shows(silent=True),
    ),
    a_case(
        "MJPEG of a camera in AVI",
        "full range, within 6",
        video("camera.avi", codec="mjpeg", pix_fmt="yuvj420p", full=True, options={"qmax": "2"}),
        shows(within=6, frames=FRAMES, silent=True),
    ),
    a_case(
        "10 bits (FFV1 in MKV)",
        "colours within 4",
        video("deep.mkv", codec="ffv1", pix_fmt="yuv444p10le", tags=BT601),
        shows(),
    ),
    a_case(
        "HDR by PQ, 10 bits",
        "203 cd/m2 is white, less light follows sRGB, within 6; told",
        video(
            "pq.mkv", [_filled(IN_PQ)] * 2, codec="ffv1", pix_fmt="yuv444p10le", matrix=9, tags=PQ
        ),
        shows(IN_SDR, within=6, said="HDR colours (PQ) were brought to SDR"),
    ),
    a_case(
        "HDR by HLG, 10 bits",
        "75 % of the signal is white, within 6; told",
        video(
            "hlg.mkv",
            [_filled(IN_HLG)] * 2,
            codec="ffv1",
            pix_fmt="yuv444p10le",
            matrix=9,
            tags=HLG,
        ),
        shows(FROM_HLG, within=6, said="HDR colours (HLG) were brought to SDR"),
    ),
    a_case(
        "colours by a matrix that is not known",
        "told",
        video("strange.mkv", codec="ffv1", tags={"colorspace": 13}),
        shows(within=255, said="which is not known here"),
    ),
    a_case(
        "RGB (FFV1 in MKV)",
        "exactly the same",
        video("rgb.mkv", codec="ffv1", pix_fmt="bgr0"),
        shows(within=0, silent=True),
    ),
)

_SHAPES = (
    *_TURNED,
    a_case(
        "tilted by 30 degrees",
        "as stored; told",
        turned(PLAIN, (0.866, 0.5, -0.5, 0.866)),  # type: ignore[arg-type]
        shows(said="only quarter turns and mirroring"),
    ),
    a_case(
        "pixels of 4:3 (DV, DVD)",
        "stretched to 85x48",
        video("wide.mp4", tags=BT601, pixel=Fraction(4, 3)),
        shows(size=(85, 48)),
    ),
    a_case(
        "pixels of 8:9 (NTSC)",
        "stretched to 64x54",
        video("narrow.mp4", tags=BT601, pixel=Fraction(8, 9)),
        shows(size=(64, 54)),
    ),
    a_case("interlaced", "rows differ by less than 4 of 255", interlaced, smooth),
    a_case(
        "odd size, 4:4:4",
        "33x17, within 4",
        video("odd.mp4", [quarters(33, 17)] * 2, tags=BT601),
        shows(size=(33, 17)),
    ),
)

_NOISE = list(np.random.default_rng(0).integers(0, 255, (20, HEIGHT, WIDTH, 3), np.uint8))
_TIMES = (
    a_case(
        "variable speed",
        "even at 12 frames per second: frame 12 at 1.0 s, told",
        _film("vfr.mp4", times=[*range(0, 600, 50), *range(600, 3000, 200)]),
        counts([*range(12), *(n for n in range(12, 23) for _ in range(4)), 23], 12.0, "varies"),
    ),
    a_case(
        "speed that trembles by a third of a frame",
        "every frame once, no note",
        _film("jitter.mp4", times=[50 * n + (16 if n % 3 == 1 else 0) for n in range(24)]),
        counts(range(24), 12.0),
    ),
    a_case(
        "one frame every two seconds",
        "0.5 frames per second",
        video("lapse.mp4", counted(4), tags=BT601, options=LOSSLESS, times=range(0, 4800, 1200)),
        counts(range(4), 0.5),
    ),
    a_case(
        "trimmed by an edit list", "18 frames, from number 6 on", trimmed, counts(range(6, 24), 12)
    ),
    a_case(
        "download that broke off",
        "the frames that came, told",
        cut(video("part.mp4", _NOISE, container={"movflags": "faststart"}), 0.67),
        cut_short,
    ),
)

_SEE_THROUGH = [see_through()] * 2
_ON_WHITE, _ON_BLACK = (RED, WHITE, BLUE, WHITE), (RED, BLACK, BLUE, BLACK)
_VP9 = video("alpha.webm", _SEE_THROUGH, codec="libvpx-vp9", pix_fmt="yuva420p",
    options={"crf": "4", "b": "0", "cpu-used": "8"}, tags=BT601)  # fmt: skip

_TRANSPARENT = (
    a_case(
        "transparent person, WebM VP9",
        "on white, within 8; told",
        _VP9,
        shows(_ON_WHITE, within=8, said="transparent parts stand on white"),
    ),
    a_case(
        "transparent skeleton, WebM VP9",
        "on black, within 8",
        _VP9,
        shows(_ON_BLACK, within=8, background="black"),
    ),
    a_case(
        "transparent person, QuickTime RLE",
        "on white, exactly",
        video("alpha.mov", _SEE_THROUGH, codec="qtrle", pix_fmt="argb"),
        shows(_ON_WHITE, within=0),
    ),
    a_case(
        "transparent person, ProRes 4444",
        "on white, within 6",
        video("prores.mov", _SEE_THROUGH, codec="prores_ks", pix_fmt="yuva444p10le", tags=BT601),
        shows(_ON_WHITE, within=6),
    ),
    a_case(
        "transparent PNG as reference",
        "on white, exactly",
        picture("figure.png", see_through()),
        a_picture(_ON_WHITE, 0),
    ),
    a_case(
        "folder of transparent skeletons",
        "on black, exactly",
        together(picture("0.png", see_through()), picture("1.png", see_through())),
        shows(_ON_BLACK, within=0, background="black"),
    ),
)

CLIPS: tuple[Case, ...] = (*_COLOURS, *_SHAPES, *_TIMES, *_TRANSPARENT)
