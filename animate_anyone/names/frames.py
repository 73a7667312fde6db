"""Names of files and records that hold one frame each: their order, and what is missing."""

import re
from collections.abc import Sequence
from itertools import pairwise

_NAMED = 3  # kinds of names in a note


def natural(text: str) -> list[tuple[int, int, str]]:
    """Return a key that sorts names with numbers as people count: frame2 before frame10."""
    parts = re.split(r"(\d+)", text)
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part.lower()) for part in parts]


def number_in(name: str) -> int | None:
    """Return the last number in a name without its ending, if it has one of at most 18 digits."""
    found = re.findall(r"\d+", _without_ending(name))
    return int(found[-1]) if found and len(found[-1]) <= 18 else None


def stem_of(name: str) -> str:
    """Return what is around the number of a name, equal for all frames of one clip."""
    return re.sub(r"\d+(?=\D*$)", "", _without_ending(name))


def odd_names(
    names: Sequence[str],  # of the files of one folder, in their order
) -> tuple[str, ...]:
    """Return notes on files that may not be the frames of one clip: two takes, or missing ones."""
    numbers = [number for number in map(number_in, names) if number is not None]
    stems = list(dict.fromkeys(map(stem_of, names)))
    if len(numbers) < len(names) or not numbers:
        return ()
    if len(stems) > 1:
        listed = ", ".join(f"{stem}*" for stem in stems[:_NAMED])
        more = ", ..." if len(stems) > _NAMED else ""
        return (
            f"the files have names of {len(stems)} kinds ({listed}{more}): they follow one another",
        )
    count = max(numbers) - min(numbers) + 1
    steps = {b - a for a, b in pairwise(numbers)}
    if len(steps) <= 1 or len(set(numbers)) < len(numbers):
        return ()
    return (
        f"{count - len(numbers)} of {count} file numbers are missing: the frames follow one "
        "another, so they come too early",
    )


def _without_ending(name: str) -> str:
    return re.sub(r"\.[a-zA-Z]\w*$", "", name)
