"""Where the frames of an example lie in a clip: span, reference and targets; and random crops."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ... import opencv as cv2
from ...dataset.manifest import ClipEntry, Span
from ...pose.skeleton.stack import SLICES
from ...types import Points, PoseClip, Size
from .batch import Draw

USUAL_FPS = 30.0  # strides count frames at this speed, so that faster clips do not look slow


@dataclass(frozen=True)
class Placed:
    """The frames of one example, all in one span."""

    span: Span
    reference: int
    targets: np.ndarray  # (f,)

    @property
    def numbers(self) -> np.ndarray:  # (n,)
        """Return all frames of the span."""
        return np.arange(self.span.start, self.span.stop)


def needed_frames(draw: Draw) -> int:
    """Return the length of the shortest span that holds an example."""
    return draw.frames + max(draw.distance, int(not draw.consecutive))


def place(
    entry: ClipEntry,  # with a span of `needed_frames`
    draw: Draw,
    strides: tuple[int, int],  # least and most frames from one target to the next
    rng: np.random.Generator,
) -> Placed:
    """Draw the frames of an example."""
    spans = [span for span in entry.spans if len(span) >= needed_frames(draw)]
    if not draw.consecutive:
        return _scattered(_one_of(spans, [len(span) for span in spans], rng), draw, rng)
    starts = np.array([len(span) - draw.frames + 1 for span in spans], float)
    span = spans[rng.choice(len(spans), p=starts / starts.sum())]
    stride = _stride(entry, span, draw, strides, rng)
    length = (draw.frames - 1) * stride + 1
    if not draw.distance:
        first = int(rng.integers(span.start, span.stop - length + 1))
        reference = int(rng.choice(np.arange(span.start, span.stop)))
        return Placed(span, reference, first + stride * np.arange(draw.frames))
    # Room for a reference is needed before the targets or after them.
    firsts = np.arange(span.start, span.stop - length + 1)
    before, after = firsts - draw.distance, firsts + length - 1 + draw.distance
    first = int(rng.choice(firsts[(before >= span.start) | (after < span.stop)]))
    targets = first + stride * np.arange(draw.frames)
    numbers = np.arange(span.start, span.stop)
    far = (numbers <= targets[0] - draw.distance) | (numbers >= targets[-1] + draw.distance)
    return Placed(span, int(rng.choice(numbers[far])), targets)


def _scattered(span: Span, draw: Draw, rng: np.random.Generator) -> Placed:
    numbers = np.arange(span.start, span.stop)
    if draw.distance <= 1:
        chosen = rng.choice(numbers, draw.frames + 1, replace=False)
        return Placed(span, int(chosen[0]), chosen[1:])
    far = np.abs(numbers[:, None] - numbers) >= draw.distance  # (reference, target)
    row = int(rng.choice(np.flatnonzero(far.sum(1) >= draw.frames)))
    targets = rng.choice(numbers[far[row]], draw.frames, replace=False)
    return Placed(span, int(numbers[row]), targets)


def _stride(
    entry: ClipEntry, span: Span, draw: Draw, strides: tuple[int, int], rng: np.random.Generator
) -> int:
    """Return a stride with which the frames fit into the span; a stride of 1 always fits."""
    faster = max(1, round(entry.fps / USUAL_FPS))
    low, high = strides
    wanted = faster * int(rng.integers(low, high + 1))
    room = len(span) - 1 - draw.distance
    return min(wanted, room // max(1, draw.frames - 1)) if draw.frames > 1 else 1


def _one_of(spans: Sequence[Span], weights: Sequence[int], rng: np.random.Generator) -> Span:
    """Draw a span; nothing is drawn for a single one, so that its examples stay as they were."""
    if len(spans) == 1:
        return spans[0]
    shares = np.array(weights, float)
    return spans[rng.choice(len(spans), p=shares / shares.sum())]


@dataclass(frozen=True)
class Crop:
    """A part of all frames of an example, enlarged to the size of the whole."""

    left: int  # pixels
    top: int
    size: Size  # of the part
    whole: Size

    @classmethod
    def drawn(cls, whole: Size, least: float, rng: np.random.Generator) -> "Crop":
        """Draw a part with this share of the sides or more, at a random place."""
        share = rng.uniform(least, 1)
        size = Size(max(1, round(share * whole.width)), max(1, round(share * whole.height)))
        left = int(rng.integers(whole.width - size.width + 1))
        top = int(rng.integers(whole.height - size.height + 1))
        return cls(left, top, size, whole)

    def picture(self, frame: np.ndarray) -> np.ndarray:  # (H, W, 3) uint8, both
        """Return the part of a picture."""
        rows = slice(self.top, self.top + self.size.height)
        part = frame[rows, self.left : self.left + self.size.width]
        whole = (self.whole.width, self.whole.height)
        return cv2.resize(part, whole, interpolation=cv2.INTER_CUBIC)

    def pose(self, pose: PoseClip) -> PoseClip:
        """Return the skeletons in the part; joints beyond its border keep their place there."""
        scale = np.array([self.whole.width / self.size.width, self.whole.height / self.size.height])

        def part(points: Points) -> Points:
            return Points(
                xy=(points.xy - (self.left, self.top)) * scale, confidence=points.confidence
            )

        return PoseClip(canvas=pose.canvas, **{name: part(getattr(pose, name)) for name in SLICES})
