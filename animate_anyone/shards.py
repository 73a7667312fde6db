"""Shards: the parts of a list of work that several machines share without talking to each other."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from .errors import InputError

T = TypeVar("T")


@dataclass(frozen=True)
class Shard:
    """Part `number` of `count`; all parts together hold every item once."""

    number: int = 1  # 1..count
    count: int = 1

    def __post_init__(self) -> None:
        """Reject a part that is not there."""
        if not 1 <= self.number <= self.count:
            raise InputError(
                f"shard got {self.number}/{self.count}; parts are numbered from 1 to the number of "
                f"parts. Choose 1/{max(self.count, 1)} for the first."
            )

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    @property
    def whole(self) -> bool:
        """Return whether this is all of the work."""
        return self.count == 1

    def spread(self, items: Sequence[T]) -> Sequence[T]:
        """Return every `count`-th item: parts of even length, each over the whole list."""
        return items[self.number - 1 :: self.count]

    def stretch(self, items: Sequence[T]) -> Sequence[T]:
        """Return items that stand next to each other: parts of even length, one after another."""
        start, stop = (len(items) * edge // self.count for edge in (self.number - 1, self.number))
        return items[start:stop]


WHOLE = Shard()


def shard_of(text: str) -> Shard:
    """Return the shard that a text such as 3/8 names; InputError for anything else."""
    match = re.fullmatch(r"(\d{1,9})/(\d{1,9})", text.strip())
    if match is None:
        raise InputError(
            f"shard got {text!r}; it must be the number of this part and the number of parts, like "
            "1/4."
        )
    return Shard(int(match[1]), int(match[2]))
