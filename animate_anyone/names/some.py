"""Naming some of many things in a sentence, so that no message grows with a list."""

from collections.abc import Collection, Iterable
from itertools import groupby, islice

MOST = 8  # names in a message
_RANGES = 12  # of numbers


def some(
    names: Collection[object],
    most: int = MOST,  # that are named
    mark: str = "",  # around each, such as the quotes of Markdown
) -> str:
    """Return the first of some names, and how many more there are: a, b and 3 more."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(f"{mark}{name}{mark}" for name in islice(names, most)) + more


def ranges(numbers: Iterable[int]) -> str:
    """Return ascending numbers as text, consecutive ones as a range: 0-3, 7; the first of many."""
    texts = []
    for _, group in groupby(enumerate(numbers), key=lambda pair: pair[1] - pair[0]):
        run = [number for _, number in group]
        texts.append(f"{run[0]}-{run[-1]}" if len(run) > 1 else f"{run[0]}")
    more = f", and {len(texts) - _RANGES} more places" if len(texts) > _RANGES else ""
    return ", ".join(texts[:_RANGES]) + more
