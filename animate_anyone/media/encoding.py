"""The formats of video files, and frames as their encoders take them: coded and said to be so."""

from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.filter import Graph
from av.video.stream import VideoStream

from ..errors import InputError
from ..types import Size

# How all clips are coded, and what they say of it: FFmpeg's name and H.273's number. Frames are
# sRGB, whose primaries are those of BT.709. Of the matrices only BT.601 is shown right everywhere:
# readers that know no other ignore the tag (PyAV before 17, OpenCV 4), and Chromium's own
# arithmetic is up to 12 levels off for BT.709, against 2 for BT.601.
_MATRIX = ("smpte170m", 6)
_PRIMARIES = ("bt709", 1)
_TRANSFER = ("iec61966-2-1", 13)
_RANGE = ("limited", 1)


@dataclass(frozen=True, kw_only=True)
class Encoding:
    """How the frames and the sound of a video file are encoded."""

    codec: str
    pixels: str  # FFmpeg's name of the pixel format
    options: dict[str, str] = field(default_factory=dict)
    has_crf: bool = True
    copied_sound: frozenset[str] = frozenset({"aac", "mp3", "ac3", "alac"})
    sound: str = "aac"  # sound of other codecs is encoded again
    sound_rate: int | None = None  # samples per second; None: as the source
    least: float = 0.005  # bytes per pixel of a clip in which little moves
    waiting: int = 1  # frames that the encoder keeps before it writes the first
    kept: float = 1.5  # bytes per pixel of such a frame, at the least

    @property
    def has_alpha(self) -> bool:
        """Return whether the frames are RGBA."""
        return self.pixels.startswith("yuva")

    def padded(self, size: Size) -> Size:
        """Return the size in the file: without odd sides where chroma is stored at half size."""
        if "444" in self.pixels:
            return size
        return Size(size.width + size.width % 2, size.height + size.height % 2)

    def least_bytes(self, size: Size, frames: int) -> int:
        """Return how many bytes a clip takes at least, whatever it shows."""
        return round(size.width * size.height * frames * self.least)

    def least_memory(self, size: Size, frames: int) -> int:
        """Return how many bytes of memory the encoder needs at the least."""
        return round(size.width * size.height * min(frames, self.waiting) * self.kept)

    def set_up(self, stream: VideoStream, size: Size, crf: int) -> None:
        """Set size, pixel format, quality and colours of a stream before its first frame."""
        padded = self.padded(size)
        stream.width, stream.height = padded.width, padded.height
        stream.pix_fmt = self.pixels
        stream.codec_context.options = self.options | ({"crf": str(crf)} if self.has_crf else {})
        coded = stream.codec_context
        coded.colorspace, coded.color_range = _MATRIX[1], _RANGE[1]
        coded.color_primaries, coded.color_trc = _PRIMARIES[1], _TRANSFER[1]
        if self.codec == "libvpx-vp9":
            coded.bit_rate = 0  # otherwise crf is only a limit


# x264 looks 40 frames ahead, in pictures of several sizes: 60 frames took 2.7 bytes per pixel and
# frame more than 4 did.
_H264 = Encoding(codec="libx264", pixels="yuv420p", waiting=40, kept=2.5)
_VP9 = Encoding(
    codec="libvpx-vp9",
    pixels="yuv420p",
    options={"deadline": "good", "cpu-used": "4", "row-mt": "1"},
    copied_sound=frozenset({"opus", "vorbis"}),
    sound="libopus",
    sound_rate=48000,
)
_VP9_ALPHA = Encoding(
    codec="libvpx-vp9",
    pixels="yuva420p",
    # Colours and alpha are two streams of packets, which hidden frames could bring out of step.
    options=_VP9.options | {"auto-alt-ref": "0"},
    copied_sound=_VP9.copied_sound,
    sound=_VP9.sound,
    sound_rate=_VP9.sound_rate,
)
_PRORES_4444 = Encoding(
    codec="prores_ks", pixels="yuva444p10le", options={"profile": "4444"}, has_crf=False, least=0.1
)

_OPAQUE = {".mp4": _H264, ".mov": _H264, ".mkv": _H264, ".webm": _VP9}
_TRANSPARENT = {".webm": _VP9_ALPHA, ".mov": _PRORES_4444}
VIDEO_SUFFIXES = tuple(_OPAQUE)  # formats that VideoWriter writes


def encoding_of(
    path: Path,
    alpha: bool,  # frames are transparent
    name: str = "out",  # what the user calls this path, for messages
) -> Encoding:
    """Return how a file of this name is encoded; InputError if its format cannot hold that."""
    suffix = path.suffix.lower()
    if suffix not in _OPAQUE:
        raise InputError(
            f"{name} got {path.name!r}; video is written as {', '.join(VIDEO_SUFFIXES)}. "
            f"Choose one of these suffixes."
        )
    if not alpha:
        return _OPAQUE[suffix]
    if suffix not in _TRANSPARENT:
        raise InputError(
            f"{name} got {path.name!r}; {suffix} files hold no transparency. Choose .webm (VP9, "
            "for browsers) or .mov (ProRes 4444, for editing), or leave the mask out."
        )
    return _TRANSPARENT[suffix]


class Coder:
    """Turns the frames of one clip into frames for its encoder, by FFmpeg's filters."""

    def __init__(
        self,
        encoding: Encoding,
        size: Size,  # of the frames
        fps: Fraction,
    ) -> None:
        padded = encoding.padded(size)
        self._format = "rgba" if encoding.has_alpha else "rgb24"
        self._time_base = 1 / fps
        self._odd = ((0, padded.height - size.height), (0, padded.width - size.width), (0, 0))
        self._graph = Graph()
        says = (_MATRIX, _RANGE, _PRIMARIES, _TRANSFER)
        names = ("colorspace", "range", "color_primaries", "color_trc")
        tags = ":".join(f"{name}={value}" for name, (value, _) in zip(names, says, strict=True))
        steps = [
            ("scale", f"flags=bilinear:out_color_matrix={_MATRIX[0]}:out_range={_RANGE[0]}"),
            ("format", encoding.pixels),
            ("setparams", tags),
            ("buffersink", None),
        ]
        end = self._graph.add_buffer(
            width=padded.width,
            height=padded.height,
            format=av.VideoFormat(self._format),
            time_base=self._time_base,
        )
        for name, arguments in steps:
            step = self._graph.add(name, arguments)
            end.link_to(step)
            end = step
        self._graph.configure()

    def coded(
        self,
        frame: np.ndarray,  # (H, W, 3 or 4) uint8, RGB or RGBA as the encoding has it
        number: int,  # of the frame in the clip
    ) -> av.VideoFrame:
        """Return a frame as the encoder takes it, with its time and what its colours are."""
        picture = av.VideoFrame.from_ndarray(np.pad(frame, self._odd, "edge"), format=self._format)
        picture.pts, picture.time_base = number, self._time_base
        self._graph.push(picture)
        coded = self._graph.vpull()
        coded.pts, coded.time_base = number, self._time_base
        return coded
