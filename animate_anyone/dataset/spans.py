"""The usable spans of a clip, and why the rest cannot be used."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from .. import opencv as cv2
from ..errors import InputError
from ..pose.skeleton.joints import VISIBLE
from ..types import PoseClip, Size
from .manifest import Span

LEAST_JOINTS = 8  # of 18 body joints in the picture: head and arms, or a body without a face
# A cut is a change between two frames that is too large for a movement, at 30 frames per second.
CUT_DISTANCE = 0.6  # median distance of joints, in spreads; a spread is 0.28 of a standing height
CUT_SCALE = 1.35  # ratio of the spreads
CUT_COLOUR = 48.0  # mean difference of the 16 x 16 block means, 0..255
_SHARED_JOINTS = 6  # least joints seen in both frames to detect a cut from them
_MEANS = 16

NO_PERSON = "no person"
SEVERAL = "several people"
FEW_JOINTS = "too few joints"
SHORT = "too short"
CUTS = "cuts"


@dataclass
class Scan:
    """Facts collected while the frames of a clip are read."""

    size: Size | None = None
    means: list[np.ndarray] = field(default_factory=list)  # (16, 16, 3) uint8 each

    def watch(self, frames: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """Yield frames (H, W, 3) and store the block means of each; InputError if sizes change."""
        for number, frame in enumerate(frames):
            size = Size(frame.shape[1], frame.shape[0])
            self.size = self.size or size
            if size != self.size:
                raise InputError(
                    f"frame {number} got {size.width}x{size.height} pixels after frames of "
                    f"{self.size.width}x{self.size.height}; a clip must have one size. Resize them."
                )
            small = cv2.resize(frame, (_MEANS, _MEANS), interpolation=cv2.INTER_AREA)
            self.means.append(small)
            yield frame


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The usable spans of a clip, and the faults of its other frames."""

    spans: tuple[Span, ...]
    faults: dict[str, int]  # reason -> number of frames; for CUTS, number of cuts
    longest: int  # length of the longest run of frames without a fault

    @property
    def reason(self) -> str:
        """Return the main reason why a clip has no span."""
        frames = {reason: count for reason, count in self.faults.items() if reason != CUTS}
        if sum(frames.values()) > self.longest:
            return max(frames, key=lambda reason: frames[reason])
        return CUTS if self.faults.get(CUTS) else SHORT


def cuts_of(
    pose: PoseClip,  # one person, as detected
    means: np.ndarray,  # (f, 16, 16, 3) uint8
    fps: float,
) -> np.ndarray:  # ascending numbers of the frames that begin a shot, without 0
    """Find the cuts: a jump of the whole pose, or of the whole picture."""
    longer = max(1.0, 30 / fps)  # at lower frame rates, joints move farther between frames
    changes = np.abs(np.diff(means.astype(np.int16), axis=0)).mean((1, 2, 3))
    cut = changes > CUT_COLOUR
    if pose.body.xy.shape[1]:
        xy, seen = pose.body.xy[:, 0], pose.body.confidence[:, 0] >= VISIBLE
        for frame, (before, after) in enumerate(pairwise(range(len(xy)))):
            both = seen[before] & seen[after]
            if both.sum() >= _SHARED_JOINTS:
                cut[frame] |= _jumps(xy[before][both], xy[after][both], longer)
    return np.flatnonzero(cut) + 1


def find_spans(
    pose: PoseClip,  # one person or none, on the data set's canvas
    crowded: np.ndarray,  # (f,), bool
    cuts: np.ndarray,  # ascending frame numbers
    min_frames: int,
) -> Verdict:
    """Return the runs of at least `min_frames` in one shot with one person and enough joints."""
    frames = len(crowded)
    joints = np.zeros(frames, int)
    if pose.body.xy.shape[1]:
        xy, canvas = pose.body.xy[:, 0], (pose.canvas.width, pose.canvas.height)
        inside = ((xy >= 0) & (xy < canvas)).all(-1)
        joints = (inside & (pose.body.confidence[:, 0] >= VISIBLE)).sum(-1)
    faults = np.where(joints >= LEAST_JOINTS, "", np.where(joints > 0, FEW_JOINTS, NO_PERSON))
    faults = np.where(crowded, SEVERAL, faults)
    shots = np.split(np.arange(frames), cuts)
    runs = [run for shot in shots for run in _runs(shot, faults == "")]
    counts = Counter(faults[faults != ""].tolist())
    if len(cuts):
        counts[CUTS] = len(cuts)
    return Verdict(
        spans=tuple(run for run in runs if len(run) >= min_frames),
        faults=dict(counts),
        longest=max(map(len, runs), default=0),
    )


def _jumps(before: np.ndarray, after: np.ndarray, longer: float) -> bool:
    """Return whether joints, (n, 2) each, moved too far for one frame."""
    spreads = [float(np.sqrt(((xy - xy.mean(0)) ** 2).sum(-1).mean())) for xy in (before, after)]
    if min(spreads) <= 0:
        return False
    distance = float(np.median(np.linalg.norm(after - before, axis=-1)))
    scale = max(spreads) / min(spreads)
    return distance > CUT_DISTANCE * longer * max(spreads) or scale > CUT_SCALE**longer


def _runs(shot: np.ndarray, usable: np.ndarray) -> list[Span]:
    """Return the unbroken runs of usable frames within a shot."""
    there = shot[usable[shot]]
    parts = np.split(there, np.flatnonzero(np.diff(there) > 1) + 1)
    return [Span(int(part[0]), int(part[-1]) + 1) for part in parts if len(part)]
