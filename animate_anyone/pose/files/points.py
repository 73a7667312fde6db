"""Points of one person as the makers of files write them: flat or nested lists, or records."""

import reprlib
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ...errors import InputError

Triples = np.ndarray  # (n, 3): x, y, confidence; all 0 where a point is missing

FARTHEST = 1e9  # points farther away are taken as missing
# Confidences below 0 or above a percentage are depths or coordinates; a network's raw scores may
# be slightly off, and some of its points far.
_ODD, _PERCENT, _MOST_ODD = 0.05, 100, 0.1
_NEAR = 0.5  # points nearer to the origin may be missing ones
_CONFIDENCES = ("confidence", "score", "visibility", "visible", "c", "v")  # names in records
_SURELY = ("name", "part")  # fields of a point's name; others may be the same for all points
_NAMES = (*_SURELY, "class_name", "keypoint_name", "body_part", "bodyPart", "joint", "label")
_INNER = ("landmark", "landmarks", "points")  # a record that holds nothing but the list
_RULE = (
    "it must be a flat list of x, y, confidence triples, or points as a maker known here writes "
    "them. Pass the output of a pose extractor."
)


@dataclass(frozen=True)
class Read:
    """Points in the maker's order."""

    triples: Triples
    names: tuple[str, ...] | None = None  # if each point has one
    is_sure: bool = True  # False: the file gives no confidences
    is_deep: bool = False  # four numbers in a row of a flat list: x, y, depth, confidence


def short(value: object) -> str:
    """Return a value for a message, cut to 60 characters; it may be of any size and depth."""
    shortener = reprlib.Repr()
    shortener.maxstring = shortener.maxother = 57
    text = shortener.repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def read_points(
    value: object,
    what: str,  # for messages: "keypoints frame 3 got pose_keypoints_2d"
    known: Container[int],  # the numbers of points that the part may have
    scores: object = None,  # confidences, if the maker lists them apart
    *,
    third_is_depth: bool = False,  # nested points are x, y, z (MediaPipe), not x, y, confidence
) -> Read:
    """Return the points; InputError if the value is not a list of points.

    A flat list is read as triples, as pairs, or as x, y, depth, confidence, whichever gives a
    number in `known`. Points that are not finite, very far away or of no confidence become missing.
    Pairs have no confidence; those at (0, 0) are missing. Confidences may be percentages here.
    """
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, Mapping):
        value = next((value[name] for name in _INNER if name in value), value)
    if value is None or (isinstance(value, Sequence | Mapping) and not len(value)):
        return Read(np.zeros((0, 3)))
    try:
        table, names = _table(value, third_is_depth)
        is_deep = False
        if table.ndim == 1:
            table = _flat_table(table, known)
            is_deep = table.shape[1] == 4
            table = table[:, [0, 1, 3]] if is_deep else table[:, : 2 if third_is_depth else 3]
        if scores is not None:
            table = np.column_stack([table[:, :2], np.asarray(scores, np.float64).ravel()])
        return Read(_cleaned(table), names, is_sure=table.shape[1] > 2, is_deep=is_deep)
    except (TypeError, ValueError, KeyError, OverflowError, RecursionError) as error:
        odd = f" ({error})" if "confidences" in str(error) else ""
        raise InputError(f"{what} {short(value)}{odd}; {_RULE}") from error


def _table(
    value: object, third_is_depth: bool
) -> tuple[np.ndarray, tuple[str, ...] | None]:  # (n, 2 or 3), or (n,) of a flat list
    """Return rows of x, y and, if known, confidence; and the points' names."""
    if isinstance(value, Mapping):
        if isinstance(value.get("x"), Sequence):
            columns = [value["x"], value["y"]]
            columns += [value[name] for name in _CONFIDENCES if value.get(name) is not None][:1]
            return np.asarray(columns, np.float64).T, None
        rows = [_row(point, third_is_depth) for point in value.values()]
        return _stacked(rows), tuple(map(str, value))
    if not isinstance(value, Sequence) or isinstance(value, str | bytes):
        raise TypeError("not a list")
    if isinstance(value[0], int | float) or not any(
        isinstance(point, Sequence | Mapping) for point in value
    ):  # a flat list; most are, so the first number is enough
        return np.asarray(value, np.float64), None
    rows = [_row(point, third_is_depth) for point in value]
    return _stacked(rows), _names(value)


def _names(value: Sequence[object]) -> tuple[str, ...] | None:
    """Return the names of points that are records, if each has one."""
    for field in _NAMES:
        names = [point.get(field) for point in value if isinstance(point, Mapping)]
        named = len(names) == len(value) and all(isinstance(name, str) for name in names)
        if named and (field in _SURELY or len(set(names)) == len(names)):
            return tuple(map(str, names))
    return None


def _row(point: object, third_is_depth: bool) -> list[float]:
    """Return a nested point as x, y and, if known, confidence."""
    if point is None:
        return []
    if isinstance(point, Mapping):
        confidence = [point[name] for name in _CONFIDENCES if point.get(name) is not None]
        return [_number(number) for number in (point["x"], point["y"], *confidence[:1])]
    if isinstance(point, str) or not isinstance(point, Sequence) or not 2 <= len(point) <= 5:
        raise TypeError("not a point")
    if len(point) > 3:  # x, y, z, visibility, and MediaPipe's presence
        point = (*point[:2], point[3])
    elif third_is_depth:
        point = point[:2]
    return [_number(number) for number in point]


def _number(value: object) -> float:
    return np.nan if value is None else float(value)  # type: ignore[arg-type]


def _stacked(rows: list[list[float]]) -> np.ndarray:
    """Return rows as a table; an empty row is a missing point."""
    width = max(map(len, rows), default=2)
    table = np.zeros((len(rows), max(2, width)))
    for index, row in enumerate(rows):
        table[index, : len(row)] = row
        if width == 3 and len(row) == 2:
            table[index, 2] = 1  # others have a confidence, this one is there
    return table


def _flat_table(flat: np.ndarray, known: Container[int]) -> np.ndarray:  # (n, 2, 3 or 4)
    """Return rows, as long as gives a known number of them; else triples, to be refused."""
    triples, pairs = flat.size % 3 == 0, flat.size % 2 == 0 and flat.size // 2 in known
    if flat.size % 4 == 0 and flat.size // 4 in known and not pairs:
        fours = flat.reshape(-1, 4)
        if not triples or flat.size // 3 not in known or _are_fours(fours, flat.reshape(-1, 3)):
            return fours
    if triples and (flat.size // 3 in known or not pairs or _are_triples(flat.reshape(-1, 3))):
        return flat.reshape(-1, 3)
    return flat.reshape(-1, 2) if pairs else flat.reshape(-1, 3)


def _are_fours(fours: np.ndarray, triples: np.ndarray) -> bool:  # (n, 4), (m, 3)
    """Return whether the fourth numbers are confidences, and the third ones of triples are not."""

    def are_confidences(values: np.ndarray) -> bool:
        return bool((np.isnan(values) | ((values >= 0) & (values <= 1))).all())

    return are_confidences(fours[:, 3]) and not are_confidences(triples[:, 2])


def _are_triples(table: np.ndarray) -> bool:  # (n, 3)
    """Return whether the third numbers are confidences or flags, and not coordinates."""
    third = table[:, 2]
    is_flag = np.isin(third, (0, 1, 2)).all()
    return bool(is_flag or (table[:, :2].max() > 2 and third.min() >= 0 and third.max() <= 2))


def _cleaned(table: np.ndarray) -> Triples:  # of (n, 2 or 3)
    if table.ndim != 2 or table.shape[1] not in (2, 3):
        raise ValueError("not a table of points")
    triples = np.zeros((len(table), 3))
    triples[:, : table.shape[1]] = table
    if table.shape[1] == 2:
        triples[:, 2] = (table != 0).any(1)
    xy, confidence = triples[:, :2], triples[:, 2]
    if not ((confidence >= -_ODD) & (confidence <= _PERCENT)).all():
        _check_confidences(xy, confidence)
    with np.errstate(invalid="ignore"):
        kept = (np.abs(xy) <= FARTHEST).all(1) & (confidence > 0)
    triples[~kept] = 0
    return triples


def _check_confidences(xy: np.ndarray, confidence: np.ndarray) -> None:
    """Raise ValueError if many of the third numbers cannot be confidences."""
    odd = ((confidence < -_ODD) | (confidence > _PERCENT)) & (np.abs(xy) > _NEAR).any(1)
    if odd.sum() > _MOST_ODD * len(odd) and not (xy[odd] == -1).all():
        low, high = confidence[odd].min(), confidence[odd].max()
        raise ValueError(f"third numbers such as {low:g} and {high:g} are no confidences")
