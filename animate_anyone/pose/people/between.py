"""People between two frames in which the detector ran: their boxes, and whether they were lost.

Boxes move on a straight line from one detection to the next. Keypoints found in such a box are
trusted as long as they lie where the keypoints around them in time let expect, and are nearly as
sure.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ..networks.detector import Boxes
from ..skeleton.joints import VISIBLE
from ..skeleton.layouts import Layout

SAME_OVERLAP = 0.3  # of the boxes of one person at both ends, and of expected and found keypoints
SURE_ENOUGH = 0.6  # mean score of the body, as a share of that of the less sure end


@dataclass(frozen=True)
class People:
    """The people of one frame."""

    boxes: Boxes  # n people
    xy: np.ndarray  # (n, j, 2), pixels: the layout's keypoints
    scores: np.ndarray  # (n, j), raw
    layout: Layout

    def extents(self) -> np.ndarray:  # (n, 4); zeros where no keypoint is seen
        """Return the boxes around the seen keypoints of the body."""
        body = self.layout.of_body
        xy, seen = self.xy[:, body], self.scores[:, body, None] >= VISIBLE
        low = np.where(seen, xy, np.inf).min(1)
        high = np.where(seen, xy, -np.inf).max(1)
        return np.where(np.any(seen, 1), np.concatenate([low, high], 1), 0.0)

    def sureness(self) -> np.ndarray:  # (n,)
        """Return the mean scores of the bodies."""
        return np.clip(self.scores[:, self.layout.of_body], 0, 1).mean(1)


@dataclass(frozen=True)
class Span:
    """The frames between two detections of the same people."""

    before: int  # frame
    after: int  # frame
    order: np.ndarray  # (n,) row in `after` of every person in `before`

    def blend(self, frame: int, before: np.ndarray, after: np.ndarray) -> np.ndarray:
        """Return values of a frame from those at the ends."""
        part = np.float32((frame - self.before) / (self.after - self.before))
        return before + part * (after - before)


def pair_up(
    before: Boxes,
    after: Boxes,
) -> np.ndarray | None:  # (n,) row of `after` for every row of `before`
    """Say who is who by the overlap of boxes; None if they are not the same people."""
    if len(before) != len(after):
        return None
    order = np.full(len(before), -1)
    shares = overlaps(before.boxes[:, None], after.boxes[None])
    for _ in order:
        row, column = np.unravel_index(shares.argmax(), shares.shape)
        if shares[row, column] < SAME_OVERLAP:
            return None
        order[row] = column
        shares[row], shares[:, column] = -1, -1
    return order


def spans_between(found: Mapping[int, Boxes]) -> dict[int, Span | None]:
    """Return the span of every frame between detections; None where the people differ."""
    spans = {}
    for before, after in pairwise(sorted(found)):
        order = pair_up(found[before], found[after])
        span = None if order is None else Span(before, after, order)
        spans |= dict.fromkeys(range(before + 1, after), span)
    return spans


def boxes_between(found: Mapping[int, Boxes], span: Span, frame: int) -> Boxes:
    """Return the boxes of a frame, in the order of those before it."""
    before, after = found[span.before], found[span.after][span.order]
    return Boxes(
        span.blend(frame, before.boxes, after.boxes), span.blend(frame, before.scores, after.scores)
    )


def is_lost(people: Mapping[int, People], span: Span, frame: int) -> bool:
    """Say whether anybody found by `boxes_between` is not where or as sure as was to be expected.

    `people` holds the frame and both ends of its span.
    """
    found, before, after = people[frame], people[span.before], people[span.after]
    expected = span.blend(frame, before.extents(), after.extents()[span.order])
    least = SURE_ENOUGH * np.minimum(before.sureness(), after.sureness()[span.order])
    near = overlaps(found.extents(), expected) >= SAME_OVERLAP
    return not bool((near & (found.sureness() >= least)).all())


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
