"""Naming some of many things in a sentence, so that no message grows with a list."""

from collections.abc import Collection
from itertools import islice

MOST = 8  # names in a message


def some(
    names: Collection[object],
    most: int = MOST,  # that are named
    mark: str = "",  # around each, such as the quotes of Markdown
) -> str:
    """Return the first of some names, and how many more there are: a, b and 3 more."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(f"{mark}{name}{mark}" for name in islice(names, most)) + more
