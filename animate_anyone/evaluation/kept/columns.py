"""The figures of many clips in columns of numbers: 12 bytes a figure, where a row takes 2 kB."""

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping

from ..metrics.table import METRICS, Row


class Columns(Mapping[str, Row]):
    """The figures of clips by name; the row of a clip is made when it is asked for."""

    def __init__(self, places: Mapping[str, int]) -> None:
        """Begin without figures.

        `places` are those of all clips of a test, in ascending order; some may stay without
        figures, and are then not among the names.
        """
        self._places = places
        self._have = array("I")  # places of the clips that have figures
        self._columns: dict[str, tuple[array, array]] = {}  # by metric: places, and figures there

    def add(self, name: str, row: Row) -> None:
        """Add the figures of a clip that stands behind those which have been added."""
        place = self._places[name]
        self._have.append(place)
        for metric, value in row.items():
            places, values = self._columns.setdefault(metric, (array("I"), array("d")))
            places.append(place)
            values.append(value)

    def column(self, metric: str) -> tuple[array, array]:
        """Return the places of the clips that have a figure, and the figures."""
        return self._columns.get(metric, (array("I"), array("d")))

    def names(self, places: Iterable[int]) -> list[str]:
        """Return the names of the clips of some places."""
        wanted = set(places)
        return [name for name, place in self._places.items() if place in wanted]

    def __getitem__(self, name: str) -> Row:
        """Return all figures of a clip, in the order of the table of metrics."""
        place = self._places[name]
        if _position(self._have, place) is None:
            raise KeyError(name)
        row: Row = {}
        for metric in sorted(self._columns, key=_order):
            places, values = self._columns[metric]
            if (position := _position(places, place)) is not None:
                row[metric] = values[position]
        return row

    def __iter__(self) -> Iterator[str]:
        """Yield the names of the clips that have figures, in order."""
        return (name for name, place in self._places.items() if self._has(place))

    def __len__(self) -> int:
        return len(self._have)

    def _has(self, place: int) -> bool:
        return _position(self._have, place) is not None


def _position(places: array, place: int) -> int | None:
    found = bisect_left(places, place)
    return found if found < len(places) and places[found] == place else None


def _order(metric: str) -> int:
    return _ORDER.get(metric, len(_ORDER))


_ORDER = {name: number for number, name in enumerate(METRICS)}
