"""Telling doubtful skeletons: what was found may be no person, or no person the networks know.

Networks trained on drawn figures find somebody in many other pictures. What they find there is less
certain, is missing more often, and its bones change their lengths from frame to frame.
"""

from dataclasses import dataclass

import numpy as np

from ...types import Flag, PoseClip
from ..networks.detector import Detector
from ..networks.estimator import Estimator
from ..skeleton.joints import BODY_EDGES
from ..skeleton.stack import SLICES, stack

DRAWN = "drawn figures"  # what an ONNX file says of networks that were trained on these only

ADVICE = (
    "This pair knows drawn figures only; use DWPose's detector and estimator for anything else."
)

# Bounds, chosen on 60 clips of drawn figures and on 158 of noise, scenery and photographs without
# people, in 14 of which somebody was found: `python -m benchmarks.doubt --clips 60`.
LEAST_CONFIDENCE = 0.86
MOST_FILLED = 0.05
MOST_WOBBLE = 0.06
MOST_OUTSIDE = 0.5  # for any pair of networks

_LONG_BONES = BODY_EDGES[2:12]  # arms, legs, and neck to hips


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What speaks for or against the skeletons of a clip."""

    confidence: float  # mean of the body's seen points that were not filled in, 0..1
    filled: float  # share of the body's seen points that were filled in over time, 0..1
    wobble: float  # median change of a bone's length from one frame to the next, in lengths
    outside: float  # share of all seen points that lie off the canvas, 0..1

    def doubts(self, *, drawn: bool) -> tuple[str, ...]:
        """Return a line for each doubt; `drawn`: the networks know drawn figures only."""
        lines = []
        if drawn and (reasons := self._reasons()):
            lines.append(f"these skeletons are doubtful ({', '.join(reasons)}). {ADVICE}")
        if self.outside > MOST_OUTSIDE:
            lines.append(f"{self.outside:.0%} of the points lie off the canvas; check the clip.")
        return tuple(lines)

    def _reasons(self) -> list[str]:
        found = [
            (
                self.confidence < LEAST_CONFIDENCE,
                f"mean confidence {self.confidence:.2f}, usual is {LEAST_CONFIDENCE} or more",
            ),
            (
                self.filled > MOST_FILLED,
                f"{self.filled:.1%} of the points filled in, usual is {MOST_FILLED:.0%} or less",
            ),
            (
                self.wobble > MOST_WOBBLE,
                f"bones change their length by {self.wobble:.1%} per frame, usual is "
                f"{MOST_WOBBLE:.0%} or less",
            ),
        ]
        return [text for holds, text in found if holds]


def knows_only_drawn(detector: Detector, estimator: Estimator) -> bool:
    """Tell whether the file of either network says that it was trained on drawn figures only."""
    return DRAWN in (detector.session.header.subjects, estimator.session.header.subjects)


def convincing(
    boxes: np.ndarray,  # (n,), scores of the detector, 0..1
    body: np.ndarray,  # (n,), mean scores of the body's points, 0..1
    score: float,  # least score of a person's box, 0..1
) -> np.ndarray:  # (n,), bool
    """Tell who is a person to networks that know drawn figures only: both scores are high."""
    return np.asarray(boxes * body >= score)


def weigh(clip: PoseClip) -> Evidence | None:
    """Return the evidence of a cleaned clip with all its people; None if nobody is seen."""
    points = stack(clip)
    if not points.seen.any():
        return None
    body = SLICES["body"]
    seen = points.seen[..., body]
    filled = seen & ((points.flags[..., body] & (Flag.FILLED | Flag.HELD)) > 0)
    found = points.confidence[..., body][seen & ~filled]
    canvas = (clip.canvas.width, clip.canvas.height)
    off = np.asarray(((points.xy < 0) | (points.xy > canvas)).any(-1))
    return Evidence(
        confidence=float(np.clip(found, 0, 1).mean()) if found.size else 0.0,
        filled=float(filled.sum() / max(seen.sum(), 1)),
        wobble=_wobble(points.xy[..., body, :], seen & ~filled),
        outside=float(off[points.seen].mean()),
    )


def _wobble(
    xy: np.ndarray,  # (f, p, 18, 2)
    seen: np.ndarray,  # (f, p, 18), bool
) -> float:
    """Return the median relative change of the long bones from frame to frame; 0 if unknown."""
    first, last = np.array(_LONG_BONES).T
    length = np.linalg.norm(xy[:, :, first] - xy[:, :, last], axis=-1)
    known = seen[:, :, first] & seen[:, :, last] & (length > 0)
    both = known[1:] & known[:-1]
    if not both.any():
        return 0.0
    middle = np.maximum((length[1:] + length[:-1]) / 2, 1e-9)
    return float(np.median((np.abs(length[1:] - length[:-1]) / middle)[both]))
