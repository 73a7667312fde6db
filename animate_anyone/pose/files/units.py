"""Units of coordinates (pixels, or fractions of the canvas in 0..1 or -1..1) and confidences."""

import numpy as np

from ...types import Size
from .points import Read
from .records import FIELDS

# A part is in fractions if most of its points lie this near to the origin: in pixels it would be a
# dot in a corner. The rest may lie farther out, as joints outside of the picture do.
_REACH = 1.5
_MOST = 0.8
_LEAST_POINTS = 3  # fewer points, or points all in one place, do not tell their unit
_LEAST_CANVAS_PX = 2  # on smaller canvases fractions and pixels are alike
# Coordinates of -1..1 are negative on half of the canvas, those of 0..1 only outside of it.
_NEGATIVE_Y, _NEGATIVE_X, _BELOW = 0.2, 0.4, -0.02

_TOP, _LEAST_PERCENT = 90, 20  # most sure points above this: the confidences are percentages
# Third numbers that a plane over the picture gives but for this share of their spread are depths.
_SLOPE, _LEAST_SPREAD, _LEAST_SLOPING = 0.3, 0.05, 10
_LEAST_TELLING = 5  # seen points of a list that tell its unit
_SHARE, _MOST_LOW = 0.3, 0.15  # more percentages from .3 to 1 than this share are of another unit

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


def to_shares(people: list[dict[str, Read]], notes: list[str]) -> None:
    """Bring the confidences of all people to 0..1, in place.

    Percentages are told by most points of all people. A list of its own, of one person in one
    frame, is of the other unit if most of its points are, or none of them is above 1. Networks give
    scores a little above 1, which count as 1.
    """
    for part in FIELDS:
        columns = [person[part].triples[:, 2] for person in people if person[part].triples.any()]
        values = np.concatenate(columns) if columns else np.zeros(0)
        if not (values > 1).any():
            continue
        usual = _are_percent(values)
        percent = [_is_percent(column, usual) for column in columns]
        _note_percent(part.replace("_", " "), columns, percent, notes)
        for column, is_percent in zip(columns, percent, strict=True):
            if is_percent:
                column /= 100
            np.minimum(column, 1, out=column)


def _is_percent(column: np.ndarray, usual: bool) -> bool:
    """Return whether one list holds percentages; `usual` is what all lists together hold."""
    if (column > 0).sum() < _LEAST_TELLING:
        return usual
    return _are_percent(column) or (usual and bool(column.max() > 1))


def _are_percent(values: np.ndarray) -> bool:
    seen = values[values > 0]
    return bool(len(seen)) and bool(np.percentile(seen, _TOP) > _LEAST_PERCENT)


def _note_percent(
    part: str,
    columns: list[np.ndarray],  # the confidences of each person in each frame
    percent: list[bool],  # whether they are percentages
    notes: list[str],
) -> None:
    """Note which confidences are percentages, and where two units stand in one list."""
    of = [column for column, is_percent in zip(columns, percent, strict=True) if is_percent]
    if not of:
        return
    some = "" if all(percent) else f" in {len(of)} of {len(columns)} lists, the others are 0..1"
    notes.append(f"confidences are percentages: {part}{some}")
    seen = [column[column > 0] for column in of]
    low = [((column > _SHARE) & (column < 1)).sum() for column in seen]
    mixed = sum(few > _MOST_LOW * len(column) for few, column in zip(low, seen, strict=True))
    if mixed:
        notes.append(
            f"warning: {mixed} of {len(columns)} lists of {part} hold confidences within 0..1 "
            "beside percentages; all were taken as percentages, so these points count as not seen. "
            "Export the confidences in one unit"
        )


def slope_notes(bodies: list[Read]) -> list[str]:
    """Return a warning if confidences rise with the places of points, as depths of a body do."""
    told = sloping = 0
    for body in bodies:
        seen = body.triples[body.triples[:, 2] > 0]
        if not body.is_sure or len(seen) < _LEAST_SLOPING:
            continue
        told += 1
        third = seen[:, 2] - seen[:, 2].mean()
        places = np.column_stack([seen[:, :2], np.ones(len(seen))])
        rest = third - places @ np.linalg.lstsq(places, third, rcond=None)[0]
        least = _LEAST_SPREAD * np.abs(seen[:, 2]).max()
        sloping += bool(third.std() > least and rest.std() < _SLOPE * third.std())
    if 2 * sloping <= told:
        return []
    return [
        f"warning: in {sloping} of {told} bodies the third numbers of points rise with their "
        "places, as depths do; they are taken as confidences. If they are depths, export x and y "
        "alone"
    ]
