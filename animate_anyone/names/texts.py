"""Many short texts, such as the names of clips, in one piece of memory."""

from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import overload

import numpy as np


class Texts(Sequence[str]):
    """Texts that take their letters and eight bytes each; a list takes about sixty bytes more.

    Any text that can name a file is kept as it is.
    """

    def __init__(self, texts: Iterable[str] = ()) -> None:
        """Begin with some texts."""
        self._letters = bytearray()
        self._ends = array("Q")
        self._order: tuple[np.ndarray, np.ndarray] | None = None  # hashes, ascending; their places
        for text in texts:
            self.append(text)

    def append(self, text: str) -> None:
        """Add a text at the end."""
        self._letters += text.encode("utf-8", "surrogatepass")
        self._ends.append(len(self._letters))
        self._order = None

    def __getstate__(self) -> tuple[bytearray, array]:
        """Return the texts alone: hashes of texts are others in another process."""
        return self._letters, self._ends

    def __setstate__(self, state: tuple[bytearray, array]) -> None:
        (self._letters, self._ends), self._order = state, None

    def __len__(self) -> int:
        return len(self._ends)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        if isinstance(index, slice):
            return [self[each] for each in range(*index.indices(len(self)))]
        place = range(len(self))[index]
        start = self._ends[place - 1] if place else 0
        return self._letters[start : self._ends[place]].decode("utf-8", "surrogatepass")

    def __iter__(self) -> Iterator[str]:
        return (self[place] for place in range(len(self)))

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Texts):
            return (self._letters, self._ends) == (other._letters, other._ends)
        if not isinstance(other, Sequence) or isinstance(other, str) or len(other) != len(self):
            return NotImplemented
        return all(mine == theirs for mine, theirs in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]

    def place(self, text: str) -> int:
        """Return the place of a text, the last one if it is there several times.

        KeyError if it is not there. The first call sorts hashes: twelve bytes a text.
        """
        hashes, places = self._sorted()
        wanted = hash(text)
        first, after = (np.searchsorted(hashes, wanted, side) for side in ("left", "right"))
        for place in sorted(map(int, places[first:after]), reverse=True):
            if self[place] == text:
                return place
        raise KeyError(text)

    def __contains__(self, text: object) -> bool:
        try:
            self.place(text)  # type: ignore[arg-type]
        except KeyError:
            return False
        return True

    def _sorted(self) -> tuple[np.ndarray, np.ndarray]:
        if self._order is None:
            hashes = np.fromiter(map(hash, self), np.int64, len(self))
            places = np.argsort(hashes, kind="stable").astype(np.uint32)
            self._order = hashes[places], places
        return self._order
