"""The step cache: features of a full step that the following steps use again.

Deep features change little from step to step, so between full steps only the network's outermost
level is computed (DeepCache, Ma et al. 2024). This module counts calls and holds features; which
features they are is the network's business, see `UNet.predict`.
"""

import math
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import ConfigError, InputError

FIRST_SHARE = 0.15  # of the steps are full at the start, where the features change fastest

Name = tuple[Hashable, int]  # a row, and how often the call has had it before


@dataclass(frozen=True)
class _Kept:
    names: tuple[Name, ...]  # of the rows
    features: Tensor  # (b*f, ...), the frames of row after row

    def of(self, names: Sequence[Name]) -> Tensor:
        """Return the features of some of the rows; all of them, or neighbours, are not copied."""
        if tuple(names) == self.names:
            return self.features
        rows = self.features.chunk(len(self.names))
        first = self.names.index(names[0])
        if tuple(names) == self.names[first : first + len(names)]:
            each = len(rows[0])
            return self.features[first * each : (first + len(names)) * each]
        return torch.cat([rows[self.names.index(name)] for name in names])


class StepCache:
    """The kept features of one sampling run, and the rule that says which calls are full.

    A call is one evaluation of the model for the whole clip; most samplers make one per step. A
    group is a full call and the calls that use its features. The first steps and the last one are
    always full. Windows must stay the same within a group.
    """

    def __init__(
        self,
        every: int,  # calls in a group: 2 computes every second one in full, 1 all
        steps: int,  # of the run
        place: torch.device | None = None,  # where features are kept; None: where they are
    ) -> None:
        check_step_cache(every, steps)
        self.every, self.steps, self.place = every, steps, place
        self.first = max(1, math.ceil(FIRST_SHARE * steps))
        self.group = -1  # number of the present group
        self._calls = 0  # in the present group
        self._keeps = False
        self._kept: list[_Kept] = []
        self._had: Counter[Hashable] = Counter()

    def begin(
        self,
        step: int,  # of the run, from 0
    ) -> int:
        """Begin a call and return the number of its group; windows are planned by it."""
        inner = self.first <= step < self.steps - 1
        if not inner or self._calls >= self.every:
            self.group += 1
            self._calls = 0
            self._kept.clear()
        self._calls += 1
        self._keeps = self.first - 1 <= step < self.steps - 1 and self.every > 1
        self._had.clear()
        return self.group

    def names(
        self,
        rows: Sequence[Hashable],  # what each row is: its condition and its frames
    ) -> tuple[Name, ...]:
        """Return the names of the rows of a part of a call, for `find` and `keep`.

        Some of ComfyUI's nodes compute a row again within a call, on a changed input. Such a row
        gets features of its own.
        """
        found = []
        for row in rows:
            found.append((row, self._had[row]))
            self._had[row] += 1
        return tuple(found)

    def find(self, names: Sequence[Name]) -> Tensor | None:
        """Return the features of these rows, or None: then they are computed in full."""
        for kept in self._kept:
            if set(names) <= set(kept.names):
                return kept.of(names)
        return None

    def keep(
        self,
        names: Sequence[Name],
        features: Tensor,  # (b*f, ...) of a full call, row after row
    ) -> None:
        """Keep features for the other calls of the group."""
        if not self._keeps:
            return
        self._kept = [kept for kept in self._kept if not set(kept.names) <= set(names)]
        features = features.detach()
        placed = features if self.place is None else features.to(self.place)
        self._kept.append(_Kept(tuple(names), placed))


def check_step_cache(every: int, steps: int) -> None:
    """Raise ConfigError for a step cache that cannot be."""
    if every < 1:
        raise ConfigError(f"step_cache got {every}; it must be 1 (every step is full) or more.")
    if every > max(1, steps):
        raise ConfigError(
            f"step_cache got {every} with {steps} steps; there is no second full step then. Choose "
            f"{steps} or less; 2 to 4 suit 20 steps."
        )


def full_steps(every: int, steps: int) -> list[bool]:
    """Return for each step whether it is full, for a sampler that calls the model once a step."""
    cache, found, before = StepCache(every, steps), [], -1
    for step in range(steps):
        found.append(cache.begin(step) != before)
        before = cache.group
    return found


def place_of_features(
    needed: int,  # bytes that are kept
    device: torch.device,  # of the network
    free: int | None,  # bytes on the device that the network does not need; None: unknown
    free_in_computer: int | None,  # bytes of the computer's memory
) -> torch.device:
    """Return the device if it has the memory, else the CPU; InputError if neither has it."""
    if free is None or needed <= free:
        return device
    if device.type != "cpu" and (free_in_computer is None or needed <= free_in_computer):
        return torch.device("cpu")
    most = max(free, free_in_computer or 0)
    raise InputError(
        f"step_cache got a clip for which it keeps {needed / 1e9:.2f} GB; {most / 1e9:.2f} GB are "
        "free. Choose step_cache 1, which keeps nothing, or a shorter clip or smaller size."
    )
