"""From decoded frames to the pictures that a player shows, by FFmpeg's filters."""

import logging
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import av
import numpy as np
from av.filter import Graph
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from PIL import Image

from ..types import Size
from .colour import Colour, colour_of, light_of
from .headers import Crop
from .light import to_sdr
from .pictures import Background, on_background

logger = logging.getLogger(__name__)

NO_COLOUR = Colour(matrix=None, full=None)  # before the first frame
Step = tuple[str, str]  # a filter and its arguments

# What FFmpeg's player does for the signs of a display matrix, (a, b, c, d), one of them per row.
_TURNS: dict[tuple[int, ...], tuple[Step, ...]] = {
    (1, 0, 0, 1): (),
    (-1, 0, 0, 1): (("hflip", ""),),
    (1, 0, 0, -1): (("vflip", ""),),
    (-1, 0, 0, -1): (("hflip", ""), ("vflip", "")),
    (0, 1, -1, 0): (("transpose", "clock"),),
    (0, -1, 1, 0): (("transpose", "cclock"),),
    (0, 1, 1, 0): (("transpose", "cclock_flip"),),
    (0, -1, -1, 0): (("transpose", "clock_flip"),),
}
_DEINTERLACE = ("bwdif", "mode=send_frame:deint=interlaced")
_WIDEST = 8  # a pixel that claims to be wider or higher than this is a fault of the file


@dataclass
class Shown:
    """Turns the decoded frames of one video into pictures, and notes what had to be assumed."""

    pixel: Fraction | None  # width of a pixel divided by its height; None: not told
    background: Background
    light: tuple[int, int] = (2, 2)  # transfer curve and primaries of the clip, FFmpeg's numbers
    crop: Crop | None = None  # what the container says to cut
    matte: Background | None = None  # on which transparent parts lie already; None: they do not
    size: Size | None = None  # of all pictures; set by the first frame
    notes: list[str] = field(default_factory=list)
    _converter: VideoReformatter = field(default_factory=VideoReformatter)

    def pictures(
        self, decoded: Iterable[VideoFrame]
    ) -> Iterator[tuple[Fraction | None, np.ndarray]]:  # seconds, and (H, W, 3) uint8 RGB
        """Yield the pictures with their time stamps."""
        look, graph, colour, interlaced = None, None, NO_COLOUR, False
        turned = _Turned()
        for frame in decoded:
            # Once a frame is interlaced the filter stays, since it looks at the frames around.
            interlaced = interlaced or bool(frame.interlaced_frame)
            now = _Look.of(frame, interlaced, self.light, turned.matrix_of(frame))
            if now != look:
                yield from self._drained(graph, colour)
                look, colour = now, colour_of(frame, self.light)
                graph = self._graph(frame, now, colour)
            if graph is None:
                yield _stamp(frame), self._finished(frame, colour, colour.reformat())
                continue
            graph.push(frame)
            yield from self._pulled(graph, colour)
        yield from self._drained(graph, colour)

    def _graph(self, frame: VideoFrame, look: "_Look", colour: Colour) -> Graph | None:
        """Return the filters for frames of this look; None if none is needed."""
        turn = self._turn(look.matrix)
        cut = self._cut(frame)
        own = cut.size if cut else Size(frame.width, frame.height)
        scaled = self._scaled(own, sideways=any(name == "transpose" for name, _ in turn))
        self._note(colour.note, _alpha_note(frame, colour))
        steps = [_DEINTERLACE] if look.interlaced else []
        steps += [cut.filter] if cut else []
        same = scaled == own
        if not steps and not turn and same:
            return None
        way = "flags=bilinear" if same else f"w={scaled.width}:h={scaled.height}:flags=bicubic"
        steps += [("scale", f"{way}{colour.options()}")]
        steps += [("format", _rgb(frame, colour)), *turn]
        return _chain(frame, steps)

    def _cut(self, frame: VideoFrame) -> Crop | None:
        """Return what to cut from a frame; frames of another size than the file says stay whole."""
        if self.crop is None or self.crop.stored != Size(frame.width, frame.height):
            return None
        self._note(self.crop.note)
        return self.crop

    def _scaled(self, own: Size, sideways: bool) -> Size:
        """Return the size at which a frame has square pixels, before it is turned.

        A frame in the middle of a clip that has another size than the first is scaled to it.
        """
        width, height, pixel = own.width, own.height, self.pixel or Fraction(1)
        if not Fraction(1, _WIDEST) <= pixel <= _WIDEST:
            self._note(f"The file claims pixels of {pixel}:1; they were taken as square.")
        elif pixel > 1:
            width = max(1, round(width * pixel))
        else:
            height = max(1, round(height / pixel))
        if self.size is None:
            self.size = Size(height, width) if sideways else Size(width, height)
        wanted = Size(self.size.height, self.size.width) if sideways else self.size
        if Size(width, height) != wanted:
            logger.warning("frames of %dx%d were scaled to the first one's size", width, height)
        return wanted

    def _turn(self, matrix: tuple[int, ...]) -> tuple[Step, ...]:
        """Return the filters that turn and mirror a frame as its display matrix says."""
        a, b = matrix[:2]
        largest = max(map(abs, matrix))
        if not largest:
            return ()
        signs = tuple(round(each / largest) for each in matrix)
        off = math.degrees(math.atan2(min(abs(a), abs(b)), max(abs(a), abs(b))))
        if off > 1 or signs not in _TURNS:
            self._note(
                f"The file wants to be shown at {math.degrees(math.atan2(b, a)):.0f} degrees; "
                "only quarter turns and mirroring are done."
            )
        return _TURNS.get(signs, ())

    def _note(self, *notes: str) -> None:
        self.notes += [note for note in notes if note and note not in self.notes]

    def _pulled(self, graph: Graph, colour: Colour) -> Iterator[tuple[Fraction | None, np.ndarray]]:
        while True:
            try:
                frame = graph.vpull()
            except (av.BlockingIOError, av.EOFError):
                return
            yield _stamp(frame), self._finished(frame, colour, {})

    def _drained(
        self, graph: Graph | None, colour: Colour
    ) -> Iterator[tuple[Fraction | None, np.ndarray]]:
        if graph is not None:
            graph.push(None)
            yield from self._pulled(graph, colour)

    def _finished(self, frame: VideoFrame, colour: Colour, options: dict[str, Any]) -> np.ndarray:
        name = _rgb(frame, colour)
        pixels = self._converter.reformat(frame, format=name, **options).to_ndarray()
        if colour.needs_light:
            return to_sdr(pixels, colour.transfer, colour.primaries)
        if name == "rgba" and self.matte is not None:
            return _on_other(pixels, self.matte, self.background)
        if name == "rgba":
            return np.array(on_background(Image.fromarray(pixels), self.background))
        return np.ascontiguousarray(pixels)


@dataclass(frozen=True)
class _Look:
    """What decides how a frame is shown; the next frame mostly has the same."""

    format: str
    width: int
    height: int
    colour: tuple[int, ...]
    matrix: tuple[int, ...]
    interlaced: bool

    @staticmethod
    def of(
        frame: VideoFrame, interlaced: bool, light: tuple[int, int], matrix: tuple[int, ...]
    ) -> "_Look":
        colour = (int(frame.colorspace), int(frame.color_range), *light_of(frame, light))
        return _Look(frame.format.name, frame.width, frame.height, colour, matrix, interlaced)


@dataclass
class _Turned:
    """Reads the display matrices of a clip's frames, no more often than they can change.

    PyAV ties a frame whose side data are read into a ring of references, so that its memory is
    free only when Python next looks for such rings, dozens of frames later.
    """

    matrix: tuple[int, ...] = (0, 0, 0, 0)
    rotation: float | None = (
        None  # degrees, of the frame before; costs nothing, but knows no mirror
    )
    key: bool = False  # whether the frame before was a key frame

    def matrix_of(self, frame: VideoFrame) -> tuple[int, ...]:
        """Return a, b, c, d of a frame's display matrix; zeros if it has none."""
        rotation, key = getattr(frame, "rotation", 0), bool(frame.key_frame)
        if rotation != self.rotation or (key and not self.key):
            self.matrix = _matrix(frame)
        self.rotation, self.key = rotation, key
        return self.matrix


def _chain(frame: VideoFrame, steps: Iterable[Step]) -> Graph:
    """Return a graph that passes frames like this one through some filters, one after another."""
    graph = Graph()
    base = frame.time_base or Fraction(1, 1000)
    end = graph.add_buffer(
        width=frame.width, height=frame.height, format=frame.format, time_base=base
    )
    for name, arguments in (*steps, ("buffersink", "")):
        step = graph.add(name, arguments or None)
        end.link_to(step)
        end = step
    graph.configure()
    return graph


def _matrix(frame: VideoFrame) -> tuple[int, ...]:
    """Return a, b, c, d of a frame's display matrix; zeros if it has none."""
    data = frame.side_data.get("DISPLAYMATRIX")
    if data is None:
        return (0, 0, 0, 0)
    a, b, _, c, d, *_ = np.frombuffer(bytes(data), np.int32, 9).tolist()
    return (a, b, c, d)


def _on_other(
    pixels: np.ndarray,  # (H, W, 4) uint8, colours multiplied by alpha
    before: Background,  # on which they were laid
    after: Background,
) -> np.ndarray:  # (H, W, 3) uint8
    """Return a picture whose transparent parts lie on another background than before."""
    through = 255 - pixels[..., 3:].astype(np.int16)
    more = (after == "white") - (before == "white")
    return (pixels[..., :3] + more * through).clip(0, 255).astype(np.uint8)


def _stamp(frame: VideoFrame) -> Fraction | None:
    if frame.pts is None or frame.time_base is None:
        return None
    return frame.pts * frame.time_base


def _has_alpha(frame: VideoFrame) -> bool:
    return frame.format.name == "pal8" or any(c.is_alpha for c in frame.format.components)


def _rgb(frame: VideoFrame, colour: Colour) -> str:
    """Return the format into which frames are converted."""
    if colour.needs_light:
        return "rgb48le"
    return "rgba" if _has_alpha(frame) else "rgb24"


def _alpha_note(frame: VideoFrame, colour: Colour) -> str:
    if not _has_alpha(frame):
        return ""
    if colour.needs_light:
        return "Its transparency was left out, since its colours are HDR or wide."
    return "Its transparent parts stand on white, or on black where it shows drawn skeletons."
