"""The reference's keys and values beside a frame's own, for the queries that attend to both."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

import torch
from einops import rearrange, repeat
from torch import Tensor
from torch.nn import functional


class KeyValue(NamedTuple):
    """Keys and values that queries attend to."""

    key: Tensor  # (b, heads, n, d)
    value: Tensor  # (b, heads, n, d)


@dataclass(frozen=True)
class BlockCondition:
    """The condition of one transformer block for b rows."""

    cross: Tensor | KeyValue  # result for a one-token context, (b, 1, c); else keys and values
    reference: KeyValue | None  # of all pictures; one row, or one per attending row
    attends: tuple[bool, ...]  # per row: whether it attends to the reference
    context: Tensor  # (b, n, context) what `cross` was computed from
    bias: Tensor | None = None  # (1 or attending rows, n) of the reference's keys; None: 0


class AttentionRun(NamedTuple):
    """Neighbouring rows that are computed in one call, because all or none see the reference."""

    rows: slice  # of the call's b rows
    frames: slice  # their frames among the b*f
    pair: KeyValue  # (len(frames), heads, m, d) the frames' own, then the reference's
    bias: Tensor | None  # (1 or len(frames), 1, 1, m), added to the scores of the keys; None: 0


def attention_runs(
    own: KeyValue,  # (b*f, heads, n, d) of the frames
    condition: BlockCondition,
    frames: int,  # f
) -> Iterator[AttentionRun]:
    """Yield all rows in order, with the keys and values that their queries attend to."""
    for rows, reference_rows, attends in _runs(condition.attends):
        clip = slice(rows.start * frames, rows.stop * frames)
        pair, bias = KeyValue(own.key[clip], own.value[clip]), None
        if attends and condition.reference is not None:
            pair = _beside(pair, condition.reference, reference_rows, frames)
            bias = _bias_beside(own.key, condition.bias, reference_rows, frames)
        yield AttentionRun(rows, clip, pair, bias)


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
