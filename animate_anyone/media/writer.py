"""Writing clips: video files, with the sound of another clip."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.error import FFmpegError
from av.video.stream import VideoStream

from ..errors import InputError, MediaError
from ..memory import require_room
from ..places import cannot_write, check_place, temporary_path
from ..types import Size
from .encoding import Coder, Encoding, encoding_of
from .files import name_for_ffmpeg, open_clip

logger = logging.getLogger(__name__)

MOST_PIXELS = 16_384  # of a side, in H.264


class VideoWriter:
    """Writes a video frame by frame; the file appears only when it is complete.

    The suffix chooses the format: H.264 in MP4, MOV and MKV, VP9 in WebM; with alpha VP9 in WebM
    and ProRes 4444 in MOV. The file says how its colours are coded.

    The place is checked when the `with` block begins, before the caller's long work. If the block
    raises (an interrupt, a full disk), the unfinished file is removed and an existing file of that
    name is left unchanged.
    """

    def __init__(
        self,
        path: Path | str,  # .mp4, .mov, .mkv or .webm
        size: Size,
        fps: Fraction | float,  # frames per second
        *,
        audio_from: Path | str | None = None,  # clip whose sound is added
        audio_start: Fraction | float = 0,  # seconds of that clip at which its sound begins
        crf: int = 16,  # 0..51, lower is better and larger; ProRes has no such choice
        alpha: bool = False,  # frames are RGBA, their colours not multiplied by alpha
        expected: int = 1,  # frames that will come, for the check of free space and memory
        name: str = "out",  # what the user calls the path, for messages
    ) -> None:
        self.path = Path(path)
        self._name = name
        self.size = size
        self.fps = Fraction(fps).limit_denominator(1001)
        self.frames = 0
        self._audio_from = None if audio_from is None else Path(audio_from)
        self._audio_start = Fraction(audio_start)
        self._crf, self._expected = crf, expected
        self._part = temporary_path(self.path, self.path.suffix)
        self._audio: _AudioCopier | None = None
        self._encoding = encoding_of(self.path, alpha, name)
        if max(size.width, size.height) > MOST_PIXELS:
            raise InputError(
                f"size got {size.width}x{size.height}; a side of a video may have {MOST_PIXELS} "
                "pixels. Choose a smaller size."
            )
        if not Fraction(1, 1000) <= self.fps <= 1000:
            raise InputError(f"fps got {fps}; it must lie in 0.001..1000. Choose for instance 30.")

    def __enter__(self) -> "VideoWriter":
        size, frames = self.size, self._expected
        require_room(
            self._encoding.least_memory(size, frames),
            f"size got {size.width}x{size.height} pixels for a video of {frames} frames",
            "Choose a smaller size, or fewer frames.",
        )
        # PyAV would open the file at the first packet only.
        least = self._encoding.least_bytes(self.size, self._expected)
        check_place(self.path, size=least, name=self._name)
        try:
            self._container: OutputContainer = av.open(name_for_ffmpeg(self._part), "w")
        except (OSError, FFmpegError) as error:
            raise MediaError(cannot_write(self.path, error, self._name)) from error
        try:
            stream = self._container.add_stream(self._encoding.codec, rate=self.fps)
            assert isinstance(stream, VideoStream)
            self._video = stream
            self._encoding.set_up(self._video, self.size, self._crf)
            self._coder = Coder(self._encoding, self.size, self.fps)
            self._audio = self._open_audio()
        except BaseException:
            self._abandon()
            raise
        return self

    def write(
        self,
        frames: np.ndarray,  # (f, H, W, 3) or (H, W, 3), uint8 RGB; with alpha 4 channels, RGBA
    ) -> None:
        """Append frames to the video."""
        frames = frames[None] if frames.ndim == 3 else frames
        shape = (self.size.height, self.size.width, 4 if self._encoding.has_alpha else 3)
        if frames.shape[1:] != shape:
            raise InputError(
                f"frames got shape {frames.shape}; this video takes (f, {shape[0]}, {shape[1]}, "
                f"{shape[2]}). Resize them first."
            )
        with self._media_errors():
            for frame in frames:
                coded = self._coder.coded(frame, self.frames)
                self._container.mux(self._video.encode(coded))
                self.frames += 1
                if self._audio:
                    self._audio.copy_until(self.frames / self.fps)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is not None:
            self._abandon()
            return
        try:
            if not self.frames:
                raise InputError("frames got none; a video needs at least one. Write some first.")
            with self._media_errors():
                self._container.mux(self._video.encode(None))
                if self._audio:
                    self._audio.finish()
                self._container.close()
                self._part.replace(self.path)
        finally:
            self._abandon()

    def _open_audio(self) -> "_AudioCopier | None":
        if self._audio_from is None or self._audio_from.is_dir():
            return None
        source = open_clip(self._audio_from)
        if not source.streams.audio:
            source.close()
            return None
        return _AudioCopier(source, self._container, self._encoding, self._audio_start)

    def _abandon(self) -> None:
        """Close everything and remove the unfinished file; does nothing after success."""
        if self._audio is not None:
            self._audio.source.close()
        try:
            self._container.close()
        except (OSError, FFmpegError):
            logger.debug("closing the unfinished %s failed too", self._part)
        self._part.unlink(missing_ok=True)

    @contextmanager
    def _media_errors(self) -> Iterator[None]:
        try:
            yield
        except (OSError, FFmpegError) as error:
            raise MediaError(cannot_write(self.path, error, self._name)) from error


class _AudioCopier:
    """Copies the sound of one clip to another, packet by packet, cut at the end of the video."""

    def __init__(
        self,
        source: InputContainer,
        target: OutputContainer,
        encoding: Encoding,
        begin: Fraction,  # seconds; earlier sound is left out, to the nearest packet
    ) -> None:
        self.source = source
        stream = source.streams.audio[0]
        self._target = target
        self._copied = stream.codec_context.name in encoding.copied_sound
        self._out: AudioStream
        if self._copied:
            self._out = target.add_stream_from_template(stream)
        else:
            rate = encoding.sound_rate or stream.codec_context.sample_rate
            out = target.add_stream(encoding.sound, rate=rate)
            assert isinstance(out, AudioStream)
            self._out = out
            self._out.codec_context.layout = stream.codec_context.layout
        start = 0 if not source.streams.video else source.streams.video[0].start_time or 0
        base = source.streams.video[0].time_base if source.streams.video else None
        self._start = start * (base or Fraction(0)) + begin
        self._cut = begin > 0
        self._parts = source.demux(stream) if self._copied else source.decode(stream)
        self._next: av.Packet | av.AudioFrame | None = None

    def copy_until(self, seconds: Fraction) -> None:
        """Copy all packets or frames that begin before this time."""
        while True:
            if self._next is None:
                self._next = next((part for part in self._parts if part.pts is not None), None)
            part = self._next
            if part is None or part.time_base is None or part.pts is None:
                return
            moment = part.pts * part.time_base - self._start
            if moment >= seconds:
                return
            if moment >= 0 or not self._cut:
                self._write(part)
            self._next = None

    def finish(self) -> None:
        """Flush the encoder and close the source."""
        if not self._copied:
            self._target.mux(self._out.encode(None))
        self.source.close()

    def _write(self, part: av.Packet | av.AudioFrame) -> None:
        if part.pts is None or part.time_base is None:
            return
        shift = round(self._start / part.time_base)
        part.pts -= shift
        if isinstance(part, av.AudioFrame):
            self._target.mux(self._out.encode(part))
            return
        part.dts = None if part.dts is None else part.dts - shift
        part.stream = self._out
        self._target.mux(part)
