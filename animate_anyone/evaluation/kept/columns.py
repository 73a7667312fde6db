"""The figures of many clips in columns of numbers: 12 bytes a figure, where a row takes 2 kB."""

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ...names.texts import Texts
from ..metrics.table import METRICS, Row


class Columns(Mapping[str, Row]):
    """The figures of clips by name; the row of a clip is made when it is asked for."""

    def __init__(
        self,
        names: Texts,  # of all clips of a test; some may stay without figures
        frames: array,  # of these clips: the number of frames
    ) -> None:
        """Begin without figures; clips without figures are not among the names."""
        self._names, self._frames = names, frames
        self._have = array("I")  # places of the clips that have figures
        self._columns: dict[str, tuple[array, array]] = {}  # by metric: places, and figures there

    def add(self, place: int, row: Row) -> None:
        """Add the figures of a clip that stands behind those which have been added."""
        self._have.append(place)
        for metric, value in row.items():
            places, values = self._columns.setdefault(metric, (array("I"), array("d")))
            places.append(place)
            values.append(value)

    def column(self, metric: str) -> tuple[array, array]:
        """Return the places of the clips that have a figure, and the figures."""
        return self._columns.get(metric, (array("I"), array("d")))

    def frames(self, places: Iterable[int]) -> list[int]:
        """Return the number of frames of the clips of some places."""
        return [self._frames[place] for place in places]

    def __getitem__(self, name: str) -> Row:
        """Return all figures of a clip, in the order of the table of metrics."""
        place = self._names.place(name)
        if _position(self._have, place) is None:
            raise KeyError(name)
        return self._row(place)

    def items(self) -> Any:  # noqa: ANN401  (an iterable, which a view of items is too)
        """Yield names and figures in order, without looking each name up."""
        return ((self._names[place], self._row(place)) for place in self._have)

    def _row(self, place: int) -> Row:
        row: Row = {}
        for metric in sorted(self._columns, key=_order):
            places, values = self._columns[metric]
            if (position := _position(places, place)) is not None:
                row[metric] = values[position]
        return row

    def __iter__(self) -> Iterator[str]:
        """Yield the names of the clips that have figures, in order."""
        return map(self._names.__getitem__, self._have)

    def __len__(self) -> int:
        return len(self._have)


def _position(places: array, place: int) -> int | None:
    found = bisect_left(places, place)
    return found if found < len(places) and places[found] == place else None


def _order(metric: str) -> int:
    return _ORDER.get(metric, len(_ORDER))


_ORDER = {name: number for number, name in enumerate(METRICS)}
