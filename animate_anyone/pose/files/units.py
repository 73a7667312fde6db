"""Units of coordinates: pixels, or fractions of the canvas in 0..1 or -1..1."""

import numpy as np

from ...types import Size

# A part is in fractions if most of its points lie this near to the origin: in pixels it would be a
# dot in a corner. The rest may lie farther out, as joints outside of the picture do.
_REACH = 1.5
_MOST = 0.8
_LEAST_POINTS = 3  # fewer points, or points all in one place, do not tell their unit
_LEAST_CANVAS_PX = 2  # on smaller canvases fractions and pixels are alike
# Coordinates of -1..1 are negative on half of the canvas, those of 0..1 only outside of it.
_NEGATIVE_Y, _NEGATIVE_X, _BELOW = 0.2, 0.4, -0.02

PIXELS, FRACTIONS, SIGNED = "pixels", "0..1 of the canvas", "-1..1 of the canvas, y downwards"

Tables = dict[str, np.ndarray]  # by part: (f, p, j, 3) of x, y, confidence


def to_pixels(
    tables: Tables,  # changed in place
    canvases: list[Size],  # of each frame
    declared: np.ndarray,  # (f,) bool: the maker's coordinates are always fractions
    pixels: np.ndarray,  # (f,) bool: they are pixels for sure
    notes: list[str],  # what was found is added
) -> None:
    """Convert fractions of each frame's canvas to pixels, decided by part and frame.

    Parts with too few points to tell are taken like the other parts of the frame, then like the
    rest of the clip.
    """
    sides = np.array([[canvas.width, canvas.height] for canvas in canvases], np.float64)  # (f, 2)
    fractions = _fractions(tables) | declared[:, None]
    fractions &= (~pixels & (sides.max(1) > _LEAST_CANVAS_PX))[:, None]
    if not fractions.any():
        return
    signed = _is_signed(tables, fractions & ~declared[:, None])
    has_points = np.stack([(table[..., 2] > 0).any((1, 2)) for table in tables.values()], 1)
    for column, table in enumerate(tables.values()):
        for frame in np.flatnonzero(fractions[:, column]):
            seen = table[frame, ..., 2] > 0
            xy = table[frame, ..., :2]
            if signed and not declared[frame]:
                xy = (xy + 1) / 2
            table[frame, ..., :2] = np.where(seen[..., None], xy * sides[frame], 0.0)
    if not signed or declared.any():
        _note(
            fractions & has_points & (declared | (not signed))[:, None],
            has_points,
            FRACTIONS,
            tables,
            notes,
        )
    if signed:
        _note(fractions & has_points & ~declared[:, None], has_points, SIGNED, tables, notes)


def _fractions(tables: Tables) -> np.ndarray:  # (f, parts) bool
    """Return which parts of which frames are in fractions."""
    votes = np.stack([_votes(table) for table in tables.values()], 1)  # 1, 0, or NaN: no vote
    if np.isnan(votes).all():
        return np.broadcast_to(_all_within(tables), votes.shape).copy()
    with np.errstate(invalid="ignore"):
        of_frames = _majority(votes, 1)[:, None]
        of_parts = _majority(votes, 0)[None]
        of_clip = _majority(votes.reshape(1, -1), 1)[:, None]
    for other in (of_frames, of_parts, of_clip):
        votes = np.where(np.isnan(votes), other, votes)
    return votes > 0.5


def _votes(table: np.ndarray) -> np.ndarray:  # (f, p, j, 3) -> (f,)
    seen = table[..., 2] > 0
    count = seen.sum((1, 2))
    near = seen & (np.abs(table[..., :2]) <= _REACH).all(-1)
    low = np.where(seen[..., None], table[..., :2], np.inf).min((1, 2), initial=np.inf)
    high = np.where(seen[..., None], table[..., :2], -np.inf).max((1, 2), initial=-np.inf)
    tells = (count >= _LEAST_POINTS) & (high > low).any(-1)
    return np.where(tells, near.sum((1, 2)) >= _MOST * count, np.nan)


def _majority(votes: np.ndarray, axis: int) -> np.ndarray:
    """Return the majority of votes along an axis, NaN where there is none; pixels win a tie."""
    there = ~np.isnan(votes)
    share = np.where(there, votes, 0).sum(axis) / np.maximum(there.sum(axis), 1)
    return np.where(there.any(axis), share > 0.5, np.nan)


def _all_within(tables: Tables) -> bool:
    """Return whether all points of a clip lie within 0..1."""
    return all(
        bool((np.abs(table[..., :2])[table[..., 2] > 0] <= 1).all()) for table in tables.values()
    )


def _is_signed(tables: Tables, fractions: np.ndarray) -> bool:
    xy = [
        table[fractions[:, column]][table[fractions[:, column]][..., 2] > 0][:, :2]
        for column, table in enumerate(tables.values())
    ]
    below = np.concatenate(xy) < _BELOW
    if not len(below):
        return False
    left, above = below.mean(0)
    return bool(above >= _NEGATIVE_Y or left >= _NEGATIVE_X)


def _note(
    found: np.ndarray, has_points: np.ndarray, unit: str, tables: Tables, notes: list[str]
) -> None:
    """Note where a unit was found: everywhere, or in which parts and how many frames."""
    if not found.any():
        return
    if (found == has_points).all():
        notes.append(f"coordinates are {unit}")
        return
    parts = [
        part.replace("_", " ") for part, is_in in zip(tables, found.T, strict=True) if is_in.any()
    ]
    frames, most = int(found.any(1).sum()), int(has_points.any(1).sum())
    notes.append(f"coordinates of {', '.join(parts)} are {unit} in {frames} of {most} frames")
