"""From frames to clean skeletons: extract, track, choose a person, clean."""

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

import numpy as np

from ...types import Flag, PoseClip
from ..networks.detector import Detector
from ..networks.estimator import Estimator
from ..skeleton.stack import stack
from .doubt import ADVICE, knows_only_drawn, weigh
from .extract import ExtractConfig, ExtractReport, extract_people
from .smoothing import CleanConfig, clean
from .tracking import PeopleReport, choose, describe, follow_people


@dataclass(frozen=True, kw_only=True)
class FollowConfig:
    """Settings for finding people in a clip and following one or all of them."""

    extract: ExtractConfig = field(default_factory=ExtractConfig)
    person: Literal["largest", "all"] | int = "largest"  # a number: order of appearance, from 0
    clean: CleanConfig = field(default_factory=CleanConfig)  # its fps is the clip's
    fps_is_known: bool = True  # False: the clip does not say its fps; the report tells that


@dataclass(frozen=True, kw_only=True)
class FollowReport:
    """Which people were found and which were kept, and how their points were cleaned."""

    extract: ExtractReport
    people: PeopleReport  # all people found
    following: tuple[str, ...]  # how people were followed, and who may have two numbers
    kept: PeopleReport  # the chosen people, before cleaning
    filled: int  # points that were missing and now lie between their neighbours in time
    held: int  # points that were missing and stay where they were seen last
    spikes: int  # points that jumped away for a moment
    smoothed: int  # points that were moved by the filter
    swapped: int  # points that were on the other side of the body for a few frames
    doubts: tuple[str, ...] = ()  # for the user: why what was found may be wrong
    drawn: bool = False  # the networks know drawn figures only

    @property
    def found(self) -> bool:
        """Whether any person was found and kept."""
        return any(person.frames_seen for person in self.kept.people)

    def text(self) -> str:
        """Return the report as a few lines."""
        lines = [self.extract.text(), self.people.text(), *self.following]
        if len(self.kept.people) != len(self.people.people):
            lines += ["kept:", self.kept.text()]
        lines.append(
            f"points: {self.swapped} put back from the other side, {self.spikes} spikes removed, "
            f"{self.filled} filled, {self.held} held, "
            f"{self.smoothed} smoothed"
        )
        if not self.found:
            lines.append("warning: no person was found; the skeletons are empty")
        lines += [f"warning: {doubt}" for doubt in self.doubts]
        if self.drawn and self.found and not any(ADVICE in doubt for doubt in self.doubts):
            # Such networks are often sure of wrong joints of real people: no measure shows that.
            lines.append(f"note: {ADVICE}")
        return "\n".join(lines)

    def with_notes(self, notes: Iterable[str]) -> "FollowReport":
        """Return the report with these notes added, for example about the video file."""
        extract = replace(self.extract, notes=(*self.extract.notes, *notes))
        return replace(self, extract=extract)

    def data(self) -> dict[str, Any]:
        """Return the report as values that JSON can hold."""
        return {**asdict(self), "found": self.found}


def follow(
    frames: Iterable[np.ndarray],  # each (H, W, 3) uint8 RGB, all of one size; read once
    detector: Detector,
    estimator: Estimator,
    config: FollowConfig = FollowConfig(),
    progress: Callable[[int], None] | None = None,  # called with the frames done; may raise
) -> tuple[PoseClip, FollowReport]:
    """Return the skeletons of the chosen people, and a report.

    Frames are read when needed and not kept. If no person is found, the result is a clip without
    people, whatever `config.person` is.

    Raises InputError for frames that cannot be used, and for a person number that does not exist.
    """
    found = extract_people(frames, detector, estimator, config.extract, progress)
    following = follow_people(found.clip, config.clean.fps, found.colours)
    tracked = following.clip
    people = describe(tracked)
    chosen = choose(tracked, config.person) if people.people else tracked
    cleaned = clean(chosen, config.clean)
    flags = stack(cleaned).flags
    evidence = weigh(cleaned)
    drawn = knows_only_drawn(detector, estimator)
    return cleaned, FollowReport(
        extract=found.report,
        people=people,
        following=(*_assumed(config, len(tracked)), *following.notes()),
        kept=describe(chosen),
        filled=_count(flags, Flag.FILLED),
        held=_count(flags, Flag.HELD),
        spikes=_count(flags, Flag.SPIKE),
        smoothed=_count(flags, Flag.SMOOTHED),
        doubts=evidence.doubts(drawn=drawn) if evidence else (),
        swapped=_count(flags, Flag.SWAPPED),
        drawn=drawn,
    )


def _assumed(config: FollowConfig, frames: int) -> tuple[str, ...]:
    if config.fps_is_known or frames < 2:
        return ()
    return (
        f"following: the clip does not say its speed; {config.clean.fps:g} frames per second "
        f"are assumed",
    )


def _count(flags: np.ndarray, flag: Flag) -> int:
    return int(np.count_nonzero(flags & flag))
