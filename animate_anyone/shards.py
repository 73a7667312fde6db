"""Shards: the parts of a list of work that several machines share without talking to each other."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from .errors import InputError
from .places import LOCK, owned

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


@contextmanager
def owned_by_shard(folder: Path, shard: Shard) -> Iterator[None]:
    """Own one part of the work in a folder within a `with` block; the other parts may run now.

    InputError while the same part, or a part of another division, is at work there.
    """
    own, division = _lock(shard), f"-of-{shard.count}"
    with owned(folder, name=own):
        for path in folder.glob(f"{LOCK}*"):
            if path.name != own and not path.name.endswith(division):
                with owned(folder, name=path.name):
                    pass  # a killed process left it
        yield


def _lock(shard: Shard) -> str:
    return LOCK if shard.whole else f"{LOCK}-{shard.number}-of-{shard.count}"
