"""Skeletons of a clip by DWPose; frames are read a few at a time and not kept."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

import numpy as np

from ...errors import InputError
from ...names.some import ranges
from ...types import PoseClip, Size
from ..networks.detector import SCORE, Boxes, Detector
from ..networks.estimator import CHANNEL_ORDERS, Estimator
from .between import People, boxes_between, is_lost, spans_between
from .clothes import torso_colours
from .doubt import convincing, knows_only_drawn

LEAST_SIDE_PX = 16  # of a frame; no person can be recognised in fewer pixels


@dataclass(frozen=True, kw_only=True)
class ExtractConfig:
    """How people are detected."""

    detect_every: int = 1  # frames from one run of the detector to the next
    score: float = SCORE  # least score of a person's box, 0..1
    batch: int = 8  # people per run of the estimator
    people: int = 4  # most people kept per frame, those with the highest scores
    channel_order: str | None = None  # one of CHANNEL_ORDERS; None: the estimator's setting

    def __post_init__(self) -> None:
        """Reject values out of range."""
        for name in ("detect_every", "batch", "people"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} got {getattr(self, name)}; it must be at least 1.")
        if not 0 <= self.score < 1:
            raise InputError(f"score got {self.score}; it must lie in 0..1; {SCORE} is usual.")
        if self.channel_order not in (None, *CHANNEL_ORDERS):
            raise InputError(
                f"channel_order got {self.channel_order!r}; it must be one of "
                f"{', '.join(CHANNEL_ORDERS)}; choose rgb."
            )


# A cleaned clip has its short gaps filled, so single missed frames do no harm; from one frame in
# twenty on, missing frames are seen as flicker or as a person who stands still.
_MANY_GAPS = 0.05


@dataclass(frozen=True, kw_only=True)
class ExtractReport:
    """What was found in a clip, and how the networks ran."""

    frames: int
    empty: tuple[int, ...]  # frames without a person
    people: int  # most people in one frame
    detector_runs: int  # frames on which the detector ran
    redetected: tuple[int, ...]  # frames on which it ran because people were lost
    detector_provider: str
    estimator_provider: str
    notes: tuple[str, ...]  # for the user, for example: a provider does not run
    unconvincing: int = 0  # boxes left out because the joints in them are too uncertain

    @property
    def gaps(self) -> int:
        """Return the number of frames without a person between frames with people."""
        empty = set(self.empty)
        filled = [frame for frame in range(self.frames) if frame not in empty]
        return sum(filled[0] < frame < filled[-1] for frame in empty) if filled else 0

    def text(self) -> str:
        """Return the report as a few lines of text."""
        lines = [f"{self.frames} frames, at most {self.people} people in one."]
        if len(self.empty) == self.frames:
            lines.append("No person was found in any frame; the skeletons are empty.")
        elif self.empty:
            lines.append(
                f"No person in {len(self.empty)} of {self.frames} frames: {ranges(self.empty)}."
            )
        gaps = self.gaps
        if gaps >= max(2, _MANY_GAPS * self.frames):
            lines.append(
                f"warning: in {gaps} of these frames nobody was found although somebody was before "
                "and after; the pose networks may have missed people. Use DWPose, or lower --score "
                "on the command line."
            )
        runs = f"The detector ran on {self.detector_runs} of {self.frames} frames"
        if self.redetected:
            runs += f", on {len(self.redetected)} of them because people were lost between runs"
        lines.append(runs + ".")
        if self.unconvincing:
            lines.append(
                f"{self.unconvincing} detections were left out: the joints in them are too "
                "uncertain for a person."
            )
        lines.append(
            f"Detector on {self.detector_provider}, estimator on {self.estimator_provider}."
        )
        return "\n".join([*lines, *self.notes])


@dataclass(frozen=True, kw_only=True)
class Extracted:
    """The skeletons of a clip, and what else was seen of the people."""

    clip: PoseClip
    colours: np.ndarray  # (f, p, 3), CIELAB of the torso; NaN: nobody there, or not seen
    report: ExtractReport


def extract(
    frames: Iterable[np.ndarray],  # each (H, W, 3) uint8 RGB, all of one size
    detector: Detector,
    estimator: Estimator,
    config: ExtractConfig | None = None,  # None: the detector runs on every frame
    progress: Callable[[int], None] | None = None,  # called with the frames done; may raise to stop
) -> tuple[PoseClip, ExtractReport]:
    """Return the skeletons of a clip, and a report.

    Frames are read a few at a time. In every frame, people are sorted by the score of their box,
    so index p is not the same person throughout; see `track`. The clip has as many people as the
    frame with most people; in other frames the rest have confidence 0. A frame that cannot be
    used raises InputError with its number.
    """
    found = extract_people(frames, detector, estimator, config, progress)
    return found.clip, found.report


def extract_people(
    frames: Iterable[np.ndarray],  # each (H, W, 3) uint8 RGB, all of one size
    detector: Detector,
    estimator: Estimator,
    config: ExtractConfig | None = None,  # None: the detector runs on every frame
    progress: Callable[[int], None] | None = None,  # called with the frames done; may raise to stop
) -> Extracted:
    """Return what `extract` does, and the colours of the people's clothes, for `follow_people`."""
    config = config or ExtractConfig()
    if config.channel_order not in (None, estimator.channel_order):
        estimator = Estimator(estimator.session, config.channel_order)
    extraction = _Extraction(detector, estimator, config)
    for chunk in _chunks(frames, config):
        extraction.add(chunk)
        if progress is not None:
            progress(len(extraction.people))
    return extraction.result()


@dataclass
class _Extraction:
    """The state of an extraction: the people of all frames so far."""

    detector: Detector
    estimator: Estimator
    config: ExtractConfig
    people: list[People] = field(default_factory=list)  # one entry per frame
    colours: list[np.ndarray] = field(default_factory=list)  # (n, 3) of each frame
    size: Size | None = None
    runs: int = 0
    redetected: list[int] = field(default_factory=list)
    unconvincing: int = 0

    def add(self, chunk: Sequence[np.ndarray]) -> None:
        """Add frames; the detector runs on every k-th of the clip and on the last of the chunk.

        Frames are numbered within the chunk; -1 is the last frame of the previous chunk.
        """
        first, last = len(self.people), len(chunk) - 1
        self.size = Size(chunk[0].shape[1], chunk[0].shape[0])
        every = self.config.detect_every
        keys = [i for i in range(len(chunk)) if (first + i) % every == 0 or i == last]
        found = self._detect(chunk, keys)
        known = {-1: self.people[-1]} if first else {}
        ends = found | {i: people.boxes for i, people in known.items()}
        spans = spans_between(ends)

        others = [i for i, span in spans.items() if span is None]
        found |= self._detect(chunk, others)
        found |= {i: boxes_between(ends, span, i) for i, span in spans.items() if span}
        people = known | self._estimate(chunk, found)
        lost = [i for i, span in spans.items() if span and is_lost(people, span, i)]
        people |= self._estimate(chunk, self._detect(chunk, lost))

        self.redetected += [first + i for i in sorted(others + lost)]
        ordered = [self._convincing(_in_order(people[i])) for i in range(len(chunk))]
        self.people += ordered
        self.colours += [torso_colours(*pair) for pair in zip(chunk, ordered, strict=True)]

    def result(self) -> Extracted:
        """Return all people as a clip, and the report."""
        if self.size is None:
            raise InputError("frames got 0 frames; it must have at least one. Check the clip.")
        counts = [len(people.boxes) for people in self.people]
        layout = self.estimator.layout
        xy = np.zeros((len(counts), max(counts), layout.keypoints, 2))
        scores = np.zeros(xy.shape[:3])
        colours = np.full((*xy.shape[:2], 3), np.nan)
        for frame, people in enumerate(self.people):
            if not counts[frame]:
                continue
            xy[frame, : counts[frame]] = people.xy
            scores[frame, : counts[frame]] = people.scores
            colours[frame, : counts[frame]] = self.colours[frame]
        sessions = self.detector.session, self.estimator.session
        report = ExtractReport(
            frames=len(counts),
            empty=tuple(frame for frame, count in enumerate(counts) if count == 0),
            people=max(counts),
            detector_runs=self.runs,
            redetected=tuple(self.redetected),
            detector_provider=sessions[0].provider,
            estimator_provider=sessions[1].provider,
            notes=tuple(dict.fromkeys(note for session in sessions for note in session.notes)),
            unconvincing=self.unconvincing,
        )
        clip = layout.to_clip(self.size, xy, scores)
        return Extracted(clip=clip, colours=colours, report=report)

    def _convincing(self, people: People) -> People:
        """Leave out people of too low scores, if the networks know drawn figures only.

        Such networks find boxes in many other pictures, but then no certain joints in them.
        """
        if not knows_only_drawn(self.detector, self.estimator):
            return people
        kept = convincing(people.boxes.scores, people.body_scores(), self.config.score)
        self.unconvincing += int((~kept).sum())
        return People(people.boxes[kept], people.xy[kept], people.scores[kept], people.layout)

    def _detect(self, chunk: Sequence[np.ndarray], chosen: Sequence[int]) -> dict[int, Boxes]:
        self.runs += len(chosen)
        found = self.detector.detect([chunk[i] for i in chosen], self.config.score)
        return {i: boxes[: self.config.people] for i, boxes in zip(chosen, found, strict=True)}

    def _estimate(
        self, chunk: Sequence[np.ndarray], found: Mapping[int, Boxes]
    ) -> dict[int, People]:
        """Estimate the keypoints in the boxes of all these frames together, to fill the batches."""
        frames = [chunk[i] for i, boxes in found.items() for _ in range(len(boxes))]
        every = np.concatenate([np.zeros((0, 4)), *(boxes.boxes for boxes in found.values())])
        xy, scores = self.estimator.estimate(frames, every, self.config.batch)
        ends = np.cumsum([len(boxes) for boxes in found.values()])[:-1]
        rows = zip(np.split(xy, ends), np.split(scores, ends), strict=True) if found else ()
        layout = self.estimator.layout
        return {i: People(found[i], *row, layout) for i, row in zip(found, rows, strict=True)}


def _in_order(people: People) -> People:
    order = np.argsort(-people.boxes.scores, kind="stable")
    return People(people.boxes[order], people.xy[order], people.scores[order], people.layout)


def _chunks(frames: Iterable[np.ndarray], config: ExtractConfig) -> Iterator[list[np.ndarray]]:
    """Yield checked frames in chunks; the last frame of each chunk is one for the detector."""
    every = config.detect_every
    length = every * math.ceil(config.batch / every)
    checked = _checked(frames)
    chunk = list(islice(checked, length + (every > 1)))
    while chunk:
        yield chunk
        chunk = list(islice(checked, length))


def _checked(frames: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    first = None
    for number, frame in enumerate(frames):
        what = f"frame {number} got"
        if not isinstance(frame, np.ndarray):
            raise InputError(
                f"{what} {type(frame).__name__}; it must be a numpy array (H, W, 3). Convert it."
            )
        if frame.ndim != 3 or frame.shape[2] != 3:
            raise InputError(
                f"{what} shape {frame.shape}; it must be (H, W, 3) in RGB. Drop the alpha "
                "channel, or repeat the grey one."
            )
        if frame.dtype != np.uint8:
            raise InputError(
                f"{what} {frame.dtype}; it must be uint8, 0..255. Multiply 0..1 by 255 and round."
            )
        height, width = frame.shape[:2]
        if min(height, width) < LEAST_SIDE_PX:
            raise InputError(
                f"{what} {width} x {height} pixels; both sides must be at least "
                f"{LEAST_SIDE_PX}. Pass the frames at their full size."
            )
        first = first or (height, width)
        if (height, width) != first:
            raise InputError(
                f"{what} {width} x {height} pixels after frames of {first[1]} x {first[0]}; all "
                "must have one size. Cut the clip there, or resize its frames."
            )
        yield np.ascontiguousarray(frame)
