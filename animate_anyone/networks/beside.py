"""The reference's keys and values beside a frame's own, for the queries that attend to both."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, NamedTuple, cast

import torch
from einops import rearrange, repeat
from torch import Tensor, nn
from torch.nn import functional

from ..errors import InputError


class KeyValue(NamedTuple):
    """Keys and values that queries attend to."""

    key: Tensor  # (b, heads, n, d)
    value: Tensor  # (b, heads, n, d)


@dataclass(frozen=True)
class Person:
    """One of several persons in a clip, who has pictures of its own among the reference's."""

    token: Tensor  # (1, 1, d)
    ranges: tuple[slice, ...]  # per transformer block: its tokens


class PersonsOfBlock(NamedTuple):
    """What the places of each person attend to in one transformer block."""

    ranges: tuple[slice, ...]  # per person: its tokens among the reference's
    cross: tuple[Tensor, ...]  # per person: result for its token, (1, 1, c)


@dataclass(frozen=True)
class Persons:
    """Which person of the clip every place belongs to, and what each of them attends to.

    Places of a person attend to that person's pictures alone and see that person's image token;
    the places between the persons attend to all pictures.
    """

    ranges: tuple[slice, ...]  # per person: its tokens among the reference's
    cross: tuple[Tensor, ...]  # per person: result for its token, (1, 1, c)
    places: Tensor  # (b or 1, f, n), 0: between the persons, else the person's number from 1

    def choose(
        self,
        results: Sequence[Tensor],  # one for all pictures, then one per person: (k*f, ..., c)
        rows: slice,  # the k rows of the results
    ) -> Tensor:
        """Return for each place the result that belongs to it; places are the last axis but one."""
        places = self.places if len(self.places) == 1 else self.places[rows]
        places = places.expand(rows.stop - rows.start, -1, -1).flatten(0, 1)
        chosen, shape = results[0], [len(places)] + [1] * (results[0].ndim - 3)
        for number, result in enumerate(results[1:], start=1):
            there = (places == number).reshape(*shape, -1, 1)
            chosen = torch.where(there, result, chosen)
        return chosen


@dataclass(frozen=True)
class BlockCondition:
    """The condition of one transformer block for b rows."""

    cross: Tensor | KeyValue  # result for a one-token context, (b, 1, c); else keys and values
    reference: KeyValue | None  # of all pictures; one row, or one per attending row
    attends: tuple[bool, ...]  # per row: whether it attends to the reference
    context: Tensor  # (b, n, context) what `cross` was computed from
    bias: Tensor | None = None  # (1 or attending rows, n) of the reference's keys; None: 0
    persons: Persons | None = None  # None: every place attends to all pictures


class AttentionRun(NamedTuple):
    """Neighbouring rows that are computed in one call, because all or none see the reference."""

    rows: slice  # of the call's b rows
    frames: slice  # their frames among the b*f
    pair: KeyValue  # (len(frames), heads, m, d) the frames' own, then the reference's
    bias: Tensor | None  # (1 or len(frames), 1, 1, m), added to the scores of the keys; None: 0
    # The same for the places of each person, with that person's pictures alone.
    others: tuple[tuple[KeyValue, Tensor | None], ...] = ()


def attention_runs(
    own: KeyValue,  # (b*f, heads, n, d) of the frames
    condition: BlockCondition,
    frames: int,  # f
) -> Iterator[AttentionRun]:
    """Yield all rows in order, with the keys and values that their queries attend to."""
    for rows, reference_rows, attends in _runs(condition.attends):
        clip = slice(rows.start * frames, rows.stop * frames)
        mine, reference = KeyValue(own.key[clip], own.value[clip]), condition.reference
        if not attends or reference is None:
            yield AttentionRun(rows, clip, mine, None)
            continue
        ranges = () if condition.persons is None else condition.persons.ranges
        seen = []
        for part in (slice(None), *ranges):
            theirs = KeyValue(*(tokens[:, :, part] for tokens in reference))
            bias = None if condition.bias is None else condition.bias[:, part]
            pair = _beside(mine, theirs, reference_rows, frames)
            seen.append((pair, _bias_beside(own.key, bias, reference_rows, frames)))
        (pair, bias), *others = seen
        yield AttentionRun(rows, clip, pair, bias, tuple(others))


def _runs(attends: tuple[bool, ...]) -> Iterator[tuple[slice, slice, bool]]:
    """Yield runs of rows with equal `attends`: the rows, their reference rows, and `attends`."""
    row = reference_row = 0
    for value, group in groupby(attends):
        count = len(list(group))
        used = count if value else 0
        yield slice(row, row + count), slice(reference_row, reference_row + used), value
        row, reference_row = row + count, reference_row + used


def _beside(own: KeyValue, reference: KeyValue, rows: slice, frames: int) -> KeyValue:
    """Append the reference's tokens to those of every frame; each value is copied only once."""
    joined = []
    for mine, theirs in zip(own, reference, strict=True):
        # The layout of the projections' outputs, so that the views need no copy.
        mine = rearrange(mine, "(b f) heads n d -> b f n heads d", f=frames)
        theirs = theirs if theirs.shape[0] == 1 else theirs[rows]
        theirs = repeat(theirs.to(mine), "b heads n d -> b f n heads d", f=frames)
        theirs = theirs.expand(len(mine), -1, -1, -1, -1)
        both = torch.cat([mine, theirs], dim=2)
        joined.append(rearrange(both, "b f n heads d -> (b f) heads n d"))
    return KeyValue(*joined)


def _bias_beside(
    key: Tensor,  # (b*f, heads, n, d) of the frames
    bias: Tensor | None,  # (1 or r, m) of the reference's keys
    rows: slice,
    frames: int,
) -> Tensor | None:  # (1 or rows*f, 1, 1, n + m)
    """Return the bias of all keys: 0 for the frame's own. One row of it serves all frames."""
    if bias is None:
        return None
    whole = functional.pad(bias.to(key), (key.shape[2], 0))
    if len(whole) > 1:
        whole = repeat(whole[rows], "b m -> (b f) m", f=frames)
    return whole[:, None, None]


def persons_of(
    blocks: Sequence[nn.Module],  # transformer blocks, in order of execution
    persons: Sequence[Person],
) -> tuple[PersonsOfBlock, ...]:
    """Return what the places of each person attend to; InputError if persons cannot be told."""
    if any(person.token.shape[1] != 1 for person in persons):
        raise InputError(
            "reference got more than one image token for a person; only networks with a single "
            "token can show several persons. Leave out the persons."
        )
    return tuple(
        PersonsOfBlock(
            tuple(person.ranges[index] for person in persons),
            tuple(cast(Any, block).attn2.constant(person.token) for person in persons),
        )
        for index, block in enumerate(blocks)
    )


def check_features(
    reference: Sequence[Tensor],
    widths: Sequence[int],  # channels of the transformer blocks
) -> None:
    """Raise InputError for features of another kind of network."""
    if len(reference) != len(widths):
        raise InputError(
            f"reference got {len(reference)} feature maps; this network has {len(widths)} "
            "transformer blocks. Use the ReferenceNet that belongs to the denoiser."
        )
    got = [features.shape[-1] for features in reference]
    if got != [*widths]:
        raise InputError(
            f"reference got features of {got} channels; this network's transformer blocks have "
            f"{[*widths]}. Use the ReferenceNet that belongs to the denoiser."
        )
