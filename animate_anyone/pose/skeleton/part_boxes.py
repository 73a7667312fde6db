"""Boxes around hands and faces, from their keypoints: where small parts are weighed or measured."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ...errors import ConfigError
from ...types import Points, PoseClip
from .stack import boxes

Part = Literal["hand", "face"]
GROUPS: dict[Part, tuple[str, ...]] = {"hand": ("left_hand", "right_hand"), "face": ("face",)}
# Share of a part's points that must be confident: of a turned face half are hidden.
LEAST_SHARE: dict[Part, float] = {"hand": 1.0, "face": 0.5}


@dataclass(frozen=True, kw_only=True)
class BoxRule:
    """Which parts get a box, and how large it is."""

    margin: float = 0.2  # added on each side, as a share of the box's longer side
    threshold: float = 0.5  # confidence from which a point counts

    def __post_init__(self) -> None:
        """Raise ConfigError for values that give no boxes."""
        if not 0 <= self.margin < math.inf:
            raise ConfigError(f"box_margin got {self.margin}; it must be 0 or more. 0.2 is usual.")
        if not 0 < self.threshold <= 1:
            raise ConfigError(
                f"box_threshold got {self.threshold}; it is a confidence above 0, up to 1. 0.5 is "
                "usual."
            )


def part_boxes(
    clip: PoseClip,
    part: Part,
    rule: BoxRule,
) -> np.ndarray:  # (f, k, 4): left, top, right, bottom in pixels; NaN where there is none
    """Return a box for every hand, or every face, of all people.

    A hand needs all of its points to be confident (MimicMotion, arXiv 2406.19680, section 3), a
    face half of them.
    """
    every = [_boxes(getattr(clip, name), LEAST_SHARE[part], rule) for name in GROUPS[part]]
    return np.concatenate(every, axis=1)


def _boxes(points: Points, least: float, rule: BoxRule) -> np.ndarray:  # (f, p, 4)
    finite = np.isfinite(points.xy).all(-1)
    seen = finite & (np.nan_to_num(points.confidence) >= rule.threshold)
    enough = seen.mean(-1, keepdims=True) >= least
    found = boxes(np.nan_to_num(points.xy), seen & enough)
    sides = found[..., 2:] - found[..., :2]
    room = rule.margin * sides.max(-1, keepdims=True)
    return np.concatenate([found[..., :2] - room, found[..., 2:] + room], -1)


def coverage(
    found: np.ndarray,  # (f, k, 4), as from `part_boxes`
    cells: tuple[int, int],  # rows and columns of a grid on the picture
    cell: float,  # pixels of a cell's side
) -> np.ndarray:  # (f, rows, columns), float32, 0..1
    """Return the share of each cell that the boxes cover; where they overlap, the larger share."""
    left, top, right, bottom = np.moveaxis(np.nan_to_num(found, nan=-1e6), -1, 0)
    shares = []
    for low, high, count in ((top, bottom, cells[0]), (left, right, cells[1])):
        edge = cell * np.arange(count)
        overlap = np.minimum(high[..., None], edge + cell) - np.maximum(low[..., None], edge)
        shares.append(np.clip(overlap / cell, 0, 1))
    rows, columns = shares
    covered = rows[..., :, None] * columns[..., None, :]
    return covered.max(1, initial=0.0).astype(np.float32)
