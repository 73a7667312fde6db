"""Videos: containers, codecs, pixel formats and colours that few cameras and editors write."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from animate_anyone.media import Background

from ..case import Case, MismatchError
from ..clip_checks import shows, whole
from ..clip_files import (
    BLUE,
    FRAMES,
    GREEN,
    GREY,
    HEIGHT,
    RED,
    WIDTH,
    Make,
    coded,
    interlaced,
    quarters,
    see_through,
    turned,
    video,
    with_aperture,
    with_crop,
    with_mode,
)
from ..clips import BLACK, BT601, BT2020, WHITE, a_case

_NEAR = "colours within 10 of 255"
_LIGHTS = tuple((v, v, v) for v in (0, 64, 128, 255))


def _written(name: str, codec: str, pix_fmt: str, within: int = 10, **how: Any) -> Case:  # noqa: ANN401
    """Return a case of a file of the test picture in a codec and container."""
    size = how.pop("size", (WIDTH, HEIGHT))
    frames = how.pop("frames", FRAMES)
    shown = how.pop("pictures", [quarters(*size)] * FRAMES)
    label = how.pop("label")
    make = video(name, shown, codec=codec, pix_fmt=pix_fmt, **how)
    return a_case(
        label,
        f"colours within {within} of 255",
        make,
        shows(within=within, size=size, frames=frames),
    )


def _stretched(make: Make, pixel: Fraction) -> Make:
    """Return a maker of the MP4 of another maker, whose pixels have another shape."""

    def stretch(folder: Path) -> Path:
        path = make(folder)
        data = bytearray(path.read_bytes())
        at = data.index(b"pasp") + 4
        data[at : at + 8] = pixel.numerator.to_bytes(4, "big") + pixel.denominator.to_bytes(
            4, "big"
        )
        path.write_bytes(data)
        return path

    return stretch


def _two_streams(name: str, first: tuple[int, int], second: tuple[int, int]) -> Make:
    """Return a maker of a file with two videos: a black one and the test picture."""

    def make(folder: Path) -> Path:
        path = folder / name
        with av.open(str(path), "w") as out:
            streams: list[Any] = []
            for size in (first, second):
                stream: Any = out.add_stream("libx264", rate=12)
                stream.width, stream.height, stream.pix_fmt = *size, "yuv444p"
                stream.codec_context.colorspace = 6
                streams.append(stream)
            shown = [np.zeros((*first[::-1], 3), np.uint8), quarters(*second)]
            for number in range(FRAMES):
                for stream, picture in zip(streams, shown, strict=True):
                    frame = coded(picture, "yuv444p", 5, full=False)
                    frame.pts, frame.time_base = number, Fraction(1, 12)
                    out.mux(stream.encode(frame))
            for stream in streams:
                out.mux(stream.encode(None))
        return path

    return make


def _columns(path: Path) -> str:
    """Check that columns of a turned interlaced clip no longer alternate."""
    _, frames = whole(path)
    comb = max(
        np.abs(frame[:, 1:-1].astype(int) - (frame[:, :-2].astype(int) + frame[:, 2:]) / 2).mean()
        for frame in frames
    )
    if comb >= 4:
        raise MismatchError(f"columns differ from their neighbours by {comb:.1f} of 255")
    return f"columns differ from their neighbours by {comb:.1f} of 255"


def _bordered() -> list[np.ndarray]:
    """Return frames of 80x64 that hold the quarters at (4, 10)."""
    frame = np.zeros((64, 80, 3), np.uint8)
    frame[10:58, 4:68] = quarters()
    return [frame] * 2


def _laid_on(level: int) -> np.ndarray:
    """Return the test picture whose right half is half red light, laid on a grey of this level."""
    picture = see_through()
    picture[:, WIDTH // 2 :] = (100 + level // 2, level // 2, level // 2, 128)
    return picture


def _half(background: str) -> tuple[int, int, int]:
    """Return what the right half of it looks like on a background."""
    return (227, 127, 127) if background == "white" else (100, 0, 0)


_PASP = video("wide.mp4", tags=BT601, pixel=Fraction(4, 3))
_GROUNDS: dict[str, Background] = {"person": "white", "skeleton": "black"}
_EDGED = video("edges.mp4", _bordered(), pix_fmt="yuv420p", tags=BT601)
_ALPHA = [see_through()] * 2
_ON_WHITE, _ON_BLACK = (RED, WHITE, BLUE, WHITE), (RED, BLACK, BLUE, BLACK)
_ARGB = video("alpha.mov", _ALPHA, codec="qtrle", pix_fmt="argb")
_GREYS = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
_GREYS[:24, 32:], _GREYS[24:, :32], _GREYS[24:, 32:] = 64, 128, 255

_LIGHT = np.round(np.interp(_GREYS, (0, 64, 128, 255), (0, 13, 55, 255))).astype(np.uint8)

CONTAINERS: tuple[Case, ...] = (
    _written(
        "a.ts", "libx264", "yuv444p", tags=BT601, label="transport stream of a recorder (.ts)"
    ),
    _written("a.m2ts", "libx264", "yuv444p", tags=BT601, label="camcorder's .m2ts"),
    _written("a.h264", "libx264", "yuv444p", tags=BT601, label="bare H.264 without a container"),
    _written(
        "a.mpg",
        "mpeg2video",
        "yuv420p",
        even=25,
        label="MPEG-2 program stream (DVD)",
        options={"qmax": "2"},
    ),
    _written("a.wmv", "wmv2", "yuv420p", label="Windows Media (.wmv)", options={"qmax": "2"}),
    _written("a.flv", "flv1", "yuv420p", label="Flash video (.flv)", options={"qmax": "2"}),
    a_case(
        "old phone (.3gp, H.263), pixels of 12:11",
        "192x144, within 10",
        video(
            "a.3gp",
            [quarters(176, 144)] * 2,
            codec="h263",
            pix_fmt="yuv420p",
            options={"qmax": "2"},
        ),
        shows(within=10, size=(192, 144)),
    ),
    _written("a.webm", "libvpx", "yuv420p", label="WebM, VP8", options={"crf": "4", "b": "4M"}),
    _written(
        "a.avi",
        "mpeg4",
        "yuv420p",
        label="AVI, MPEG-4 with B-frames",
        options={"qmax": "2", "bf": "2"},
        even=25,
    ),
    _written("raw.avi", "rawvideo", "bgr24", 0, label="AVI, bare RGB"),
    _written("a.y4m", "rawvideo", "yuv444p", label="YUV4MPEG (.y4m)"),
    _written("a.nut", "ffv1", "yuv444p", label="FFmpeg's own container (.nut)"),
    _written("huff.avi", "huffyuv", "yuv422p", label="AVI, HuffYUV"),
    _written("ut.avi", "utvideo", "gbrp", 0, label="AVI, Ut Video in RGB"),
    _written("v210.mov", "v210", "yuv422p10le", label="MOV, uncompressed, 10 bits (v210)"),
    _written("r210.mov", "r210", "gbrp10le", 4, label="MOV, uncompressed RGB, 10 bits (r210)"),
    _written(
        "av1.mp4", "libsvtav1", "yuv420p", label="MP4, AV1", options={"preset": "12", "crf": "10"}
    ),
    _written(
        "av1.mkv",
        "libsvtav1",
        "yuv420p10le",
        label="MKV, AV1 of 10 bits",
        options={"preset": "12", "crf": "10"},
    ),
    _written(
        "hevc.mp4",
        "libx265",
        "yuv444p10le",
        tags=BT601,
        label="MP4, H.265 of 10 bits",
        options={"x265-params": "log-level=none"},
    ),
    _written("sub.mkv", "ffv1", "yuv411p", label="chroma of a quarter (4:1:1)"),
    _written("pal.mov", "png", "rgb24", 0, label="MOV, PNG in every frame"),
    a_case(
        "grey video",
        "grey within 4",
        video("grey.mkv", [_GREYS] * 2, codec="ffv1", pix_fmt="gray", full=True),
        shows(_LIGHTS, within=4),
    ),
    a_case(
        "grey video of 16 bits",
        "grey within 4",
        video("grey.mkv", [_GREYS] * 2, codec="ffv1", pix_fmt="gray16le", full=True),
        shows(_LIGHTS, within=4),
    ),
    a_case(
        "grey video of 10 bits",
        "grey within 4",
        video("grey.mkv", [_GREYS] * 2, codec="ffv1", pix_fmt="gray10le", full=True),
        shows(_LIGHTS, within=4),
    ),
    a_case(
        "RGB of 16 bits (FFV1)",
        "within 1",
        video("deep.mkv", codec="ffv1", pix_fmt="rgb48le"),
        shows(within=1),
    ),
    a_case(
        "RGB planes of 12 bits (FFV1)",
        "within 1",
        video("deep.mkv", codec="ffv1", pix_fmt="gbrp12le"),
        shows(within=1),
    ),
    a_case(
        "transparent person, VP8",
        "on white, within 10; told",
        video(
            "alpha.webm",
            _ALPHA,
            codec="libvpx",
            pix_fmt="yuva420p",
            options={"crf": "4", "b": "4M", "auto-alt-ref": "0"},
        ),
        shows(_ON_WHITE, within=10, said="transparent parts"),
    ),
    a_case(
        "transparent person, FFV1 in MKV",
        "on white, within 6",
        video("alpha.mkv", _ALPHA, codec="ffv1", pix_fmt="yuva444p", tags=BT601),
        shows(_ON_WHITE, within=6, said="transparent parts"),
    ),
    a_case(
        "transparent skeleton of 16 bits, FFV1",
        "on black, within 2",
        video("alpha.mkv", _ALPHA, codec="ffv1", pix_fmt="rgba64le"),
        shows(_ON_BLACK, within=2, background="black"),
    ),
    a_case(
        "transparent skeleton, PNG in MOV",
        "on black, exactly",
        video("alpha.mov", _ALPHA, codec="png", pix_fmt="rgba"),
        shows(_ON_BLACK, within=0, background="black"),
    ),
    a_case(
        "transparent and turned by 90 degrees",
        "on white, upright",
        turned(_ARGB, (0, 1, -1, 0)),
        shows((BLUE, RED, WHITE, WHITE), within=1, size=(HEIGHT, WIDTH)),
    ),
    *(
        a_case(
            f"transparent {side}, MOV, colours multiplied by alpha on {matte}",
            f"on {background}, within 1",
            with_mode(
                video("alpha.mov", [_laid_on(level)] * 2, codec="qtrle", pix_fmt="argb"), mode
            ),
            shows(
                (RED, _half(background), BLUE, _half(background)), within=1, background=background
            ),
        )
        for matte, level, mode in (("white", 255, 257), ("black", 0, 258))
        for side, background in _GROUNDS.items()
    ),
    a_case(
        "pixels of 4:3, turned by 90 degrees",
        "48x85, upright",
        turned(_PASP, (0, 1, -1, 0)),
        shows((BLUE, RED, GREY, GREEN), size=(HEIGHT, 85)),
    ),
    a_case(
        "pixels of 4:3, mirrored",
        "85x48, upright",
        turned(_PASP, (-1, 0, 0, 1)),
        shows((GREEN, RED, GREY, BLUE), size=(85, HEIGHT)),
    ),
    a_case(
        "pixels of 1:2, upside down",
        "64x96, upright",
        turned(_stretched(_PASP, Fraction(1, 2)), (-1, 0, 0, -1)),
        shows((GREY, BLUE, GREEN, RED), size=(64, 96)),
    ),
    a_case(
        "MKV whose edges are to be cut (PixelCrop)",
        "cut, 64x48, within 4; told",
        with_crop(video("edges.mkv", _bordered(), codec="ffv1", tags=BT601), 4, 10, 12, 6),
        shows(said="64x48 of 80x64 pixels, from (4, 10) on"),
    ),
    a_case(
        "MP4 of which a part is to be shown (clap), 4:2:0",
        "cut, 64x48, within 10; told",
        with_aperture(_EDGED, 64, 48, -4, 2),
        shows(within=10, said="64x48 of 80x64 pixels, from (4, 10) on"),
    ),
    a_case(
        "MP4 of which a part is to be shown, turned by 90 degrees",
        "cut, upright, 48x64, within 10; told",
        turned(with_aperture(_EDGED, 64, 48, -4, 2), (0, 1, -1, 0)),
        shows((BLUE, RED, GREY, GREEN), size=(48, 64), within=10, said="the rest was cut"),
    ),
    a_case(
        "MP4 that claims to show more than it holds (clap)",
        "as stored",
        with_aperture(video("plain.mp4", pix_fmt="yuv420p", tags=BT601), 640, 480, 0, 0),
        shows(within=10, silent=True),
    ),
    a_case(
        "pixels of 100:1",
        "taken as square; told",
        _stretched(_PASP, Fraction(100, 1)),
        shows(said="taken as square"),
    ),
    a_case(
        "odd size, 4:2:0, turned",
        "18x34, within 10",
        turned(
            video(
                "odd.mp4",
                [quarters(34, 18)] * 2,
                pix_fmt="yuv420p",
                tags=BT601,
                options={"crf": "1"},
            ),
            (0, 1, -1, 0),
        ),
        shows((BLUE, RED, GREY, GREEN), within=10, size=(18, 34)),
    ),
    a_case(
        "interlaced, turned by 90 degrees",
        "rows differ by less than 4 of 255",
        turned(interlaced, (0, 1, -1, 0)),
        _columns,
    ),
    a_case(
        "the full range in 10 bits",
        "by its tags, within 4",
        video(
            "full.mkv",
            codec="ffv1",
            pix_fmt="yuv444p10le",
            full=True,
            tags=BT601 | {"color_range": 2},
        ),
        shows(),
    ),
    a_case(
        "wide colours in SDR (BT.2020)",
        "grey within 6",
        video(
            "wide.mkv",
            [_GREYS] * 2,
            codec="ffv1",
            pix_fmt="yuv444p10le",
            matrix=9,
            tags=BT2020 | {"color_primaries": 9, "color_trc": 14},
        ),
        shows(_LIGHTS, within=6),
    ),
    a_case(
        "Display P3 of a phone",
        "grey within 6",
        video(
            "p3.mkv",
            [_GREYS] * 2,
            codec="ffv1",
            pix_fmt="yuv444p",
            tags=BT601 | {"color_primaries": 12, "color_trc": 13},
        ),
        shows(_LIGHTS, within=6),
    ),
    a_case(
        "linear light",
        "grey within 4; told",
        video(
            "linear.mkv",
            [_LIGHT] * 2,
            codec="ffv1",
            pix_fmt="yuv444p10le",
            tags=BT601 | {"color_primaries": 1, "color_trc": 8},
        ),
        shows(_LIGHTS, within=4, said="linear light was brought to sRGB"),
    ),
    a_case(
        "a camera's curve of logarithms",
        "told",
        video(
            "log.mkv",
            codec="ffv1",
            pix_fmt="yuv444p10le",
            tags=BT601 | {"color_primaries": 1, "color_trc": 9},
        ),
        shows(within=255, said="which is not known here; they were taken"),
    ),
    a_case(
        "YCgCo",
        "told",
        video("ycgco.mkv", codec="ffv1", tags={"colorspace": 8}),
        shows(within=255, said="not known here"),
    ),
    a_case(
        "two videos in a file, the second larger",
        "as players choose; told",
        _two_streams("two.mkv", (32, 24), (64, 48)),
        shows((BLACK,) * 4, size=(32, 24), said="It holds 2 videos"),
    ),
    a_case(
        "two videos in a file, the first larger",
        "as players choose; told",
        _two_streams("two.mkv", (96, 64), (64, 48)),
        shows((BLACK,) * 4, size=(96, 64), said="It holds 2 videos"),
    ),
)
