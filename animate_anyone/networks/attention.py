"""Spatial transformers: self-attention that includes the reference, and cross-attention.

Paper, section 3.2: the reference's features are concatenated with the frame's along the width, and
only the frame's half of the result is kept. So a frame's queries attend to its own tokens and to
the reference's. The reference's half needs no queries, only keys and values, and these are the
same for every frame and step.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple, cast

import torch
from einops import rearrange, repeat
from torch import Tensor, nn
from torch.nn import functional

from ..protocols import AttentionFunction
from .layers import Factory, FeedForward, picture, tokens


def sdpa(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Run PyTorch's own attention kernels on (b, heads, n, d)."""
    return functional.scaled_dot_product_attention(query, key, value)


class KeyValue(NamedTuple):
    """Keys and values that queries attend to."""

    key: Tensor  # (b, heads, n, d)
    value: Tensor  # (b, heads, n, d)


@dataclass(frozen=True)
class BlockCondition:
    """The condition of one transformer block for b rows."""

    cross: Tensor | KeyValue  # result for a one-token context, (b, 1, c); else keys and values
    reference: KeyValue | None  # one row, or one per attending row
    attends: tuple[bool, ...]  # per row: whether it attends to the reference


def split_heads(
    x: Tensor,  # (b, n, heads*d)
    heads: int,
) -> Tensor:  # (b, heads, n, d), a view
    return rearrange(x, "b n (heads d) -> b heads n d", heads=heads)


def merge_heads(
    x: Tensor,  # (b, heads, n, d)
) -> Tensor:  # (b, n, heads*d)
    return rearrange(x, "b heads n d -> b n (heads d)")


class Attention(nn.Module):
    """The four projections around scaled dot-product attention."""

    def __init__(
        self,
        channels: int,
        heads: int,
        make: Factory,
        *,
        context: int | None = None,  # channels of keys' and values' input; None: `channels`
    ) -> None:
        super().__init__()
        self.heads = heads
        self.to_q = make.linear(channels, channels, bias=False)
        self.to_k = make.linear(context or channels, channels, bias=False)
        self.to_v = make.linear(context or channels, channels, bias=False)
        self.to_out = nn.ModuleList([make.linear(channels, channels)])

    def query(self, x: Tensor) -> Tensor:
        return split_heads(self.to_q(x), self.heads)

    def key_value(
        self,
        x: Tensor,  # (b, n, context)
    ) -> KeyValue:
        return KeyValue(
            split_heads(self.to_k(x), self.heads), split_heads(self.to_v(x), self.heads)
        )

    def out(self, x: Tensor) -> Tensor:
        return self.to_out[0](merge_heads(x))

    def constant(
        self,
        token: Tensor,  # (b, 1, context)
    ) -> Tensor:  # (b, 1, c)
        """Return the result of attention to a single token; it does not depend on the query."""
        return self.to_out[0](self.to_v(token))


class TransformerBlock(nn.Module):
    """Self-attention with the reference, cross-attention, feed-forward."""

    def __init__(
        self,
        channels: int,
        heads: int,
        context: int,
        ff_mult: int,
        make: Factory,
        *,
        tail: bool = True,  # False: only norm1 is built, for ReferenceNet's last block
    ) -> None:
        super().__init__()
        self.tail = tail
        self.norm1 = make.layer_norm(channels)
        if not tail:
            return
        self.attn1 = Attention(channels, heads, make)
        self.norm2 = make.layer_norm(channels)
        self.attn2 = Attention(channels, heads, make, context=context)
        self.norm3 = make.layer_norm(channels)
        self.ff = FeedForward(channels, ff_mult, make)

    def cross(
        self,
        context: Tensor,  # (b, n, context)
    ) -> Tensor | KeyValue:
        """Return the result of cross-attention for one token, else keys and values."""
        one_token = context.shape[1] == 1
        return self.attn2.constant(context) if one_token else self.attn2.key_value(context)

    def forward(
        self,
        x: Tensor,  # (b*f, n, c)
        seen: Tensor,  # (b*f, n, c), norm1 of x: the input of self-attention
        condition: BlockCondition,
        attention: AttentionFunction,
    ) -> Tensor:  # (b*f, n, c)
        x = x + self.attn1.out(self._self_attention(seen, condition, attention))
        x = self._cross_attention(x, condition, attention)
        return x + self.ff(self.norm3(x))

    def _self_attention(
        self, seen: Tensor, condition: BlockCondition, attention: AttentionFunction
    ) -> Tensor:
        query, (key, value) = self.attn1.query(seen), self.attn1.key_value(seen)
        if condition.reference is None:
            return attention(query, key, value)
        frames = query.shape[0] // len(condition.attends)
        parts = []
        for rows, reference_rows, attends in _runs(condition.attends):
            clip = slice(rows.start * frames, rows.stop * frames)
            own = KeyValue(key[clip], value[clip])
            if attends:
                own = _beside(own, condition.reference, reference_rows, frames)
            parts.append(attention(query[clip], *own))
        if len(parts) == 1:
            return parts[0]
        return torch.cat([part.transpose(1, 2) for part in parts]).transpose(1, 2)

    def _cross_attention(
        self, x: Tensor, condition: BlockCondition, attention: AttentionFunction
    ) -> Tensor:
        b = len(condition.attends)
        if isinstance(condition.cross, Tensor):
            clips = rearrange(x, "(b f) n c -> b f n c", b=b)
            return rearrange(clips + condition.cross.to(x)[:, None], "b f n c -> (b f) n c")
        # All frames of a row attend to the same tokens, so their queries form one long sequence.
        query = self.attn2.query(self.norm2(rearrange(x, "(b f) n c -> b (f n) c", b=b)))
        key, value = condition.cross
        seen = self.attn2.out(attention(query, key.to(x), value.to(x)))
        return x + rearrange(seen, "b (f n) c -> (b f) n c", n=x.shape[1])


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


class SpatialTransformer(nn.Module):
    """A transformer block on the tokens of each frame, between two projections."""

    def __init__(
        self,
        channels: int,
        heads: int,
        context: int,
        ff_mult: int,
        groups: int,
        make: Factory,
        *,
        tail: bool = True,
    ) -> None:
        super().__init__()
        self.norm = make.group_norm(groups, channels, eps=1e-6)
        self.proj_in = make.conv(channels, channels, kernel=1)
        block = TransformerBlock(channels, heads, context, ff_mult, make, tail=tail)
        self.transformer_blocks = nn.ModuleList([block])
        if tail:
            self.proj_out = make.conv(channels, channels, kernel=1)

    @property
    def block(self) -> TransformerBlock:
        return cast(TransformerBlock, self.transformer_blocks[0])

    def forward(
        self,
        x: Tensor,  # (b*f, c, h, w)
        code: Tensor | None,  # (1, h*w, c) position code, in x's dtype
        condition: BlockCondition | None,  # None: only `seen` is needed; the block has no tail
        attention: AttentionFunction,
    ) -> tuple[Tensor, Tensor]:  # (b*f, c, h, w); (b*f, h*w, c) the input of self-attention
        hidden = tokens(self.proj_in(self.norm(x)))
        seen = self.block.norm1(hidden)
        if code is not None:
            seen = seen + code
        if condition is None:
            return x, seen
        hidden = self.block(hidden, seen, condition, attention)
        return x + self.proj_out(picture(hidden, x.shape[2])), seen
