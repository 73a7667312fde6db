"""Reading clips as a player shows them: videos, moving pictures and folders of pictures."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from ..errors import MediaError
from ..types import Size
from .files import cannot_decode, kind_of_file, opened_video, pictures_in
from .moving import moving_frames, moving_timing
from .pictures import Background, picture_size, read_bytes
from .shown import Shown
from .timing import Timing, timing_of

# Decoders that also read the transparency of a WebM file, which FFmpeg's own leave out.
_WITH_ALPHA = {"vp8": "libvpx", "vp9": "libvpx-vp9"}
_LISTED = 3  # names in a note


@dataclass(frozen=True, kw_only=True)
class ClipInfo:
    """Facts about a clip that are known before its frames are decoded."""

    path: Path
    frames: int  # at an even speed
    size: Size  # of the first frame as it is shown: upright, with square pixels
    fps: Fraction | None  # frames per second, even; None for folders of pictures
    has_audio: bool
    variable: bool = False  # the frame rate of the file varies
    notes: tuple[str, ...] = ()  # what was assumed, or could not be honoured

    def remarks(
        self,
        read: int,  # number of frames that could be read
        wanted: int | None = None,  # number of frames requested; None: all
    ) -> tuple[str, ...]:
        """Return notes for a report: what was assumed, and frames that could not be read."""
        wanted = self.frames if wanted is None else wanted
        if read < wanted:
            missing = f"{read} of {wanted} frames could be read; the file may be truncated."
            return (*self.notes, missing)
        return self.notes


def clip_info(path: Path | str) -> ClipInfo:
    """Return the facts about a video, a moving picture, a folder of pictures or one picture.

    The first frame is decoded, because only a frame tells all about its size and colours.
    """
    path = Path(path)
    kind = kind_of_file(path)
    if kind == "pictures":
        pictures, others = pictures_in(path)
        return ClipInfo(
            path=path,
            frames=len(pictures),
            size=picture_size(pictures[0]),
            fps=None,
            has_audio=False,
            notes=_passed_over(others),
        )
    if kind == "moving":
        timing, size = moving_timing(path), picture_size(path)
        return _info(path, timing, size, has_audio=False, notes=())
    with opened_video(path) as (container, stream):
        timing, has_audio = _timing(container, stream), bool(container.streams.audio)
    with opened_video(path) as (container, stream):
        shown = _shown(stream, "white")
        if next(shown.pictures(_decoded(container, stream)), None) is None or shown.size is None:
            raise MediaError(cannot_decode(path, ValueError("it holds no frame")))
    return _info(path, timing, shown.size, has_audio=has_audio, notes=tuple(shown.notes))


def frames_of(
    path: Path | str,
    background: Background = "white",  # behind transparent parts; black for drawn skeletons
) -> Iterator[np.ndarray]:
    """Yield the frames of a clip as a player shows them, (H, W, 3) uint8 RGB, one by one.

    Frames come at an even speed. Pictures of a folder are sorted by name in natural order (frame2
    before frame10).
    """
    path = Path(path)
    kind = kind_of_file(path)
    if kind == "pictures":
        for picture in pictures_in(path)[0]:
            yield read_bytes(picture, background=background)
    elif kind == "moving":
        yield from moving_timing(path).even(moving_frames(path, background))
    else:
        with opened_video(path) as (container, stream):
            timing = _timing(container, stream)
        with opened_video(path) as (container, stream):
            stream.thread_type = "AUTO"
            shown = _shown(stream, background)
            yield from timing.even(shown.pictures(_decoded(container, stream)))


def _info(
    path: Path, timing: Timing, size: Size, *, has_audio: bool, notes: tuple[str, ...]
) -> ClipInfo:
    return ClipInfo(
        path=path,
        frames=timing.frames,
        size=size,
        fps=timing.fps,
        has_audio=has_audio,
        variable=timing.variable,
        notes=(timing.note, *notes) if timing.note else notes,
    )


def _timing(container: InputContainer, stream: VideoStream) -> Timing:
    """Return when the frames of a video are shown, from its packets; nothing is decoded.

    Packets that an edit list leaves out are decoded, but not shown.
    """
    packets = [packet for packet in _packets(container, stream) if packet.size]
    shown = [
        ((packet.pts if packet.pts is not None else packet.dts), packet.duration)
        for packet in packets
        if not packet.is_discard
    ]
    announced = stream.frames - (len(packets) - len(shown))
    base = stream.time_base or Fraction(1)
    stamps = sorted(stamp * base for stamp, _ in shown if stamp is not None)
    last = max(((stamp, long) for stamp, long in shown if stamp is not None), default=(0, None))[1]
    told = [stream.average_rate, stream.guessed_rate]
    missing = [None] * (len(shown) - len(stamps))
    return timing_of([*stamps, *missing], last * base if last else None, told, announced)


def _packets(container: InputContainer, stream: VideoStream) -> Iterator[Packet]:
    """Yield the packets of a video, up to where a damaged file breaks off."""
    with suppress(FFmpegError, OSError):
        yield from container.demux(stream)


def _shown(stream: VideoStream, background: Background) -> Shown:
    codec = stream.codec_context
    light = (int(codec.color_trc), int(codec.color_primaries))
    return Shown(pixel=stream.sample_aspect_ratio, background=background, light=light)


def _decoded(container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame]:
    name = _WITH_ALPHA.get(stream.codec_context.name)
    if name is None or stream.metadata.get("alpha_mode") != "1":
        yield from container.decode(stream)
        return
    decoder: Any = av.CodecContext.create(name, "r")
    decoder.extradata = stream.codec_context.extradata
    for packet in container.demux(stream):
        yield from decoder.decode(packet if packet.size else None)


def _passed_over(names: list[str]) -> tuple[str, ...]:
    if not names:
        return ()
    listed = ", ".join(names[:_LISTED]) + (", ..." if len(names) > _LISTED else "")
    return (f"Files of the folder that are no pictures were passed over: {len(names)} ({listed}).",)
