"""The colour of people's clothes, by which people who return are told apart."""

from collections.abc import Sequence

import numpy as np

from ... import opencv as cv2
from ..skeleton.joints import VISIBLE
from ..skeleton.layouts import Joint
from ..skeleton.stack import HIPS, SHOULDERS
from .between import People

# The part of the torso that is looked at, as shares of its width and height: not its edges, where
# arms and background are.
_ACROSS, _DOWN = np.linspace(0.25, 0.75, 4), np.linspace(0.15, 0.75, 6)
_TORSO_PER_SHOULDERS = 1.25  # height of a torso whose hips are not seen
_LEAST_PX = 2.0  # width and height of a torso; smaller ones have no colour


def torso_colours(
    frame: np.ndarray,  # (H, W, 3) uint8 RGB
    people: People,
) -> np.ndarray:  # (n, 3), CIELAB; NaN where the torso is not seen
    """Return the median colour of each person's torso."""
    result = np.full((len(people.xy), 3), np.nan)
    for person, (xy, scores) in enumerate(zip(people.xy, people.scores, strict=True)):
        places = _places([_joint(people, j, xy, scores) for j in (*SHOULDERS, *HIPS)])
        if places is None:
            continue
        columns, rows = np.floor(places).astype(int).T
        inside = (rows >= 0) & (columns >= 0)
        inside &= (rows < frame.shape[0]) & (columns < frame.shape[1])
        if np.count_nonzero(inside) < len(inside) / 2:
            continue
        pixels = frame[rows[inside], columns[inside]].astype(np.float32) / 255
        result[person] = np.median(cv2.cvtColor(pixels[None], cv2.COLOR_RGB2LAB)[0], axis=0)
    return result


def _joint(
    people: People,
    joint: int,  # of OpenPose
    xy: np.ndarray,  # (j, 2)
    scores: np.ndarray,  # (j,)
) -> np.ndarray | None:  # (2,); None: not seen
    source: Joint = people.layout.body[joint]
    of: Sequence[int] = () if source is None else source if isinstance(source, tuple) else (source,)
    if not of or min(scores[list(of)]) < VISIBLE or not np.isfinite(xy[list(of)]).all():
        return None
    return xy[list(of)].mean(0)


def _places(corners: Sequence[np.ndarray | None]) -> np.ndarray | None:  # (24, 2), pixels
    """Return places on a torso, from shoulders and hips; None if the shoulders are not seen."""
    one, other, hip, other_hip = corners
    if one is None or other is None:
        return None
    across = other - one
    if hip is None or other_hip is None:
        down = np.array([0.0, _TORSO_PER_SHOULDERS * float(np.hypot(*across))])
        hip, other_hip = one + down, other + down
    height = float(np.hypot(*((hip + other_hip - one - other) / 2)))
    if height < _LEAST_PX or not np.isfinite(height):
        return None
    u, v = (grid.reshape(-1, 1) for grid in np.meshgrid(_ACROSS, _DOWN))
    return (1 - v) * (one + u * across) + v * (hip + u * (other_hip - hip))
