"""Reading clips as a player shows them: videos, moving pictures and folders of pictures."""

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import av
import numpy as np
from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from ..errors import InputError, MediaError
from ..names.frames import odd_names
from ..types import Size
from .files import cannot_decode, is_cover, kind_of_file, opened_video, pictures_in
from .headers import crop_of, matte_of
from .moving import moving_frames, moving_timing
from .pictures import Background, picture_facts, picture_size, read_bytes
from .shown import Shown
from .timing import Timing, timing_of

logger = logging.getLogger(__name__)

# Decoders that also read the transparency of a WebM file, which FFmpeg's own leave out.
_WITH_ALPHA = {"vp8": "libvpx", "vp9": "libvpx-vp9"}
_LISTED = 3  # names in a note
_KEPT = 1 << 25  # bytes of packets that are kept, so that a file of this size is read only once


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
    timing: Timing | None = None  # when the frames are shown; None for folders of pictures

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
        size, several = None, []
        for picture in pictures:
            own, count = picture_facts(picture)
            size = size or own
            _check_size(picture, own, pictures[0], size)
            several += [picture.name] if count > 1 else []
        assert size is not None
        return ClipInfo(
            path=path,
            frames=len(pictures),
            size=size,
            fps=None,
            has_audio=False,
            notes=(
                *map(_sentence, odd_names([each.name for each in pictures])),
                *_passed_over(others),
                *_first_of(several),
            ),
        )
    if kind == "moving":
        timing, size = moving_timing(path), picture_size(path)
        return _info(path, timing, size, has_audio=False, notes=())
    with _timed(path) as video:
        shown = _shown(path, video, "white")
        if next(shown.pictures(_decoded(video)), None) is None or shown.size is None:
            raise MediaError(cannot_decode(path, ValueError("it holds no frame")))
        has_audio = bool(video.container.streams.audio)
        notes = (*_several(video), *shown.notes)
    return _info(path, video.timing, shown.size, has_audio=has_audio, notes=notes)


def frames_of(
    clip: Path | str | ClipInfo,  # with the facts about a clip less of it is read
    background: Background = "white",  # behind transparent parts; black for drawn skeletons
) -> Iterator[np.ndarray]:
    """Yield the frames of a clip as a player shows them, (H, W, 3) uint8 RGB, one by one.

    Frames come at an even speed. Pictures of a folder are sorted by name in natural order (frame2
    before frame10).
    """
    path, timing = (clip.path, clip.timing) if isinstance(clip, ClipInfo) else (Path(clip), None)
    kind = kind_of_file(path)
    if kind == "pictures":
        size, pictures = None, pictures_in(path)[0]
        for picture in pictures:
            frame = read_bytes(picture, background=background)
            own = Size(frame.shape[1], frame.shape[0])
            size = size or own
            _check_size(picture, own, pictures[0], size)
            yield frame
    elif kind == "moving":
        timing = timing or moving_timing(path)
        yield from timing.even(moving_frames(path, background))
    else:
        with _timed(path, timing) as video:
            video.stream.thread_type = "AUTO"
            shown = _shown(path, video, background)
            damaged = _Damaged(path)
            yield from video.timing.even(shown.pictures(damaged.watch(_decoded(video))))
            damaged.tell()


@dataclass
class _Damaged:
    """Counts frames that the decoder had to guess parts of, which only decoding shows."""

    path: Path
    frames: int = 0

    def watch(self, frames: Iterable[VideoFrame]) -> Iterator[VideoFrame]:
        for frame in frames:
            self.frames += bool(frame.is_corrupt)
            yield frame

    def tell(self) -> None:
        if self.frames:
            logger.warning("%s: %d frames are damaged, parts are guessed", self.path, self.frames)


def _check_size(picture: Path, own: Size, first: Path, size: Size) -> None:
    """Raise InputError unless a picture of a folder has the size of the first one."""
    if own != size:
        raise InputError(
            f"folder got {picture} of {own.width}x{own.height}, but its first picture "
            f"{first.name} has {size.width}x{size.height}; the frames of a clip have one size. "
            "Scale or crop them alike, or take other pictures out of the folder."
        )


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
        timing=timing,
    )


@dataclass(frozen=True)
class _Video:
    """An open video whose timing is known."""

    container: InputContainer
    stream: VideoStream
    timing: Timing
    packets: Iterable[Packet]  # of the video, to be decoded


@contextmanager
def _timed(
    path: Path,
    timing: Timing | None = None,  # of the same file, if it is known
) -> Iterator[_Video]:
    """Yield a video and when its frames are shown, which only all its packets tell.

    A short file is read once: its packets are kept until they are decoded.
    """
    if timing is None:
        with opened_video(path) as (container, stream):
            timing, packets = _timing(container, stream)
            if packets:
                yield _Video(container, stream, timing, packets)
                return
    with opened_video(path) as (container, stream):
        yield _Video(container, stream, timing, container.demux(stream))


def _timing(container: InputContainer, stream: VideoStream) -> tuple[Timing, list[Packet]]:
    """Return when the frames of a video are shown, and its packets; nothing is decoded.

    The packets are left out if they are many, or if the file breaks off, so that whoever decodes
    them meets the fault. Packets that an edit list leaves out are decoded, but not shown.
    """
    kept, size, count, shown = [], 0, 0, []
    try:
        for packet in container.demux(stream):
            size += packet.size
            if size <= _KEPT:
                kept.append(packet)
            if packet.size:
                count += 1
                if not packet.is_discard:
                    stamp = packet.pts if packet.pts is not None else packet.dts
                    shown.append((stamp, packet.duration or 0))
    except (FFmpegError, OSError):
        kept = []
    announced = stream.frames - (count - len(shown))
    known = sorted(pair for pair in shown if pair[0] is not None)
    last = known[-1][1] if known else None
    told = [stream.average_rate, stream.guessed_rate]
    stamps = [stamp for stamp, _ in known] + [None] * (len(shown) - len(known))
    timing = timing_of(stamps, last, told, announced, stream.time_base or Fraction(1))
    return timing, kept if size <= _KEPT else []


def _shown(path: Path, video: _Video, background: Background) -> Shown:
    stream, codec = video.stream, video.stream.codec_context
    light = (int(codec.color_trc), int(codec.color_primaries))
    others = [each.index for each in video.container.streams.video if not is_cover(each)]
    number = others.index(stream.index)
    return Shown(
        pixel=stream.sample_aspect_ratio,
        background=background,
        light=light,
        crop=crop_of(path, number),
        matte=matte_of(path, number),
    )


def _several(video: _Video) -> tuple[str, ...]:
    """Return a note if a file holds more videos than the one that players show."""
    count = sum(not is_cover(stream) for stream in video.container.streams.video)
    if count < 2:
        return ()
    codec = video.stream.codec_context
    return (f"It holds {count} videos; the one of {codec.width}x{codec.height} is used.",)


def _decoded(video: _Video) -> Iterator[VideoFrame]:
    codec = video.stream.codec_context
    name = _WITH_ALPHA.get(codec.name)
    if name is None or video.stream.metadata.get("alpha_mode") != "1":
        for packet in video.packets:
            yield from cast("list[VideoFrame]", packet.decode())
        return
    decoder: Any = av.CodecContext.create(name, "r")
    decoder.extradata = codec.extradata
    for packet in video.packets:
        yield from decoder.decode(packet if packet.size else None)


def _sentence(note: str) -> str:
    return f"{note[0].upper()}{note[1:]}."


def _passed_over(names: list[str]) -> tuple[str, ...]:
    if not names:
        return ()
    return (f"Files of the folder that are no pictures were passed over: {_listed(names)}.",)


def _first_of(names: list[str]) -> tuple[str, ...]:
    if not names:
        return ()
    return (f"Of pictures with several frames or pages the first is used: {_listed(names)}.",)


def _listed(names: list[str]) -> str:
    more = ", ..." if len(names) > _LISTED else ""
    return f"{len(names)} ({', '.join(names[:_LISTED])}{more})"
