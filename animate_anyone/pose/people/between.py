"""People in the frames between two runs of the detector: their boxes, and whether they were lost.

Boxes are interpolated linearly from one detection to the next. Keypoints found in such a box are
accepted if they lie where neighbouring frames suggest they are, and if their scores are nearly
as high.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ..networks.detector import Boxes
from ..skeleton.joints import VISIBLE
from ..skeleton.layouts import Layout

# Least intersection over union: of one person's boxes in two detections, and of the expected and
# the found extent of a person's keypoints.
MIN_OVERLAP = 0.3
MIN_SCORE_SHARE = 0.6  # least mean score of the body, relative to the lower one at the two ends


@dataclass(frozen=True)
class People:
    """The people of one frame."""

    boxes: Boxes  # n people
    xy: np.ndarray  # (n, j, 2), pixels: the layout's keypoints
    scores: np.ndarray  # (n, j), raw
    layout: Layout

    def extents(self) -> np.ndarray:  # (n, 4), pixels; zeros without seen keypoints
        """Return, for each person, the box around the seen keypoints of the body."""
        body = self.layout.of_body
        xy, seen = self.xy[:, body], self.scores[:, body, None] >= VISIBLE
        low = np.where(seen, xy, np.inf).min(1)
        high = np.where(seen, xy, -np.inf).max(1)
        return np.where(np.any(seen, 1), np.concatenate([low, high], 1), 0.0)

    def body_scores(self) -> np.ndarray:  # (n,), 0..1
        """Return, for each person, the mean score of the body's keypoints."""
        return np.clip(self.scores[:, self.layout.of_body], 0, 1).mean(1)


@dataclass(frozen=True)
class Span:
    """The frames between two detections of the same people."""

    before: int  # frame
    after: int  # frame
    order: np.ndarray  # (n,) row in `after` of every person in `before`

    def blend(self, frame: int, before: np.ndarray, after: np.ndarray) -> np.ndarray:
        """Return a frame's values, interpolated linearly between the values at both ends."""
        part = np.float32((frame - self.before) / (self.after - self.before))
        return before + part * (after - before)


def pair_up(
    before: Boxes,
    after: Boxes,
) -> np.ndarray | None:  # (n,) row of `after` for every row of `before`
    """Match the people of two frames by the overlap of their boxes; None if they differ."""
    if len(before) != len(after):
        return None
    order = np.full(len(before), -1)
    shares = overlaps(before.boxes[:, None], after.boxes[None])
    for _ in order:
        row, column = np.unravel_index(shares.argmax(), shares.shape)
        if shares[row, column] < MIN_OVERLAP:
            return None
        order[row] = column
        shares[row], shares[:, column] = -1, -1
    return order


def spans_between(found: Mapping[int, Boxes]) -> dict[int, Span | None]:
    """Return the span of every frame between detections; None if the people at its ends differ."""
    spans = {}
    for before, after in pairwise(sorted(found)):
        order = pair_up(found[before], found[after])
        span = None if order is None else Span(before, after, order)
        spans |= dict.fromkeys(range(before + 1, after), span)
    return spans


def boxes_between(found: Mapping[int, Boxes], span: Span, frame: int) -> Boxes:
    """Return the interpolated boxes of a frame, in the order of the span's first frame."""
    before, after = found[span.before], found[span.after][span.order]
    return Boxes(
        span.blend(frame, before.boxes, after.boxes), span.blend(frame, before.scores, after.scores)
    )


def is_lost(people: Mapping[int, People], span: Span, frame: int) -> bool:
    """Return whether any person in a frame with interpolated boxes was lost.

    A person is lost if the keypoints are not near the expected place, or if their scores are much
    lower than at the ends of the span. `people` holds this frame and both ends.
    """
    found, before, after = people[frame], people[span.before], people[span.after]
    expected = span.blend(frame, before.extents(), after.extents()[span.order])
    least = MIN_SCORE_SHARE * np.minimum(before.body_scores(), after.body_scores()[span.order])
    near = overlaps(found.extents(), expected) >= MIN_OVERLAP
    return not bool((near & (found.body_scores() >= least)).all())


def overlaps(
    first: np.ndarray,  # (..., 4) left, top, right, bottom
    second: np.ndarray,  # (..., 4)
) -> np.ndarray:  # (...)
    """Return intersection over union; 0 where both are empty."""
    low = np.maximum(first[..., :2], second[..., :2])
    high = np.minimum(first[..., 2:], second[..., 2:])
    common = np.maximum(high - low, 0).prod(-1)
    areas = [(box[..., 2:] - box[..., :2]).prod(-1) for box in (first, second)]
    return common / np.maximum(areas[0] + areas[1] - common, 1e-9)
