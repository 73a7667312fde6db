"""Spatial transformers: self-attention that includes the reference, and cross-attention.

Paper, section 3.2: the reference's features are concatenated with the frame's along the width, and
only the frame's half of the result is kept. So a frame's queries attend to its own tokens and to
the reference's. The reference's half needs no queries, only keys and values, and these are the
same for every frame and step.
"""

from collections.abc import Sequence
from typing import cast

import torch
from einops import rearrange, repeat
from torch import Tensor, nn
from torch.nn import functional

from ..protocols import AttentionFunction, TransformerPatches
from .beside import BlockCondition, KeyValue, attention_runs
from .layers import Factory, FeedForward, picture, tokens


def sdpa(query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None = None) -> Tensor:
    """Run PyTorch's own attention kernels on (b, heads, n, d)."""
    return functional.scaled_dot_product_attention(query, key, value, attn_mask=bias)


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
        self.tail, self.channels = tail, channels
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
        x = x + self._cross_attention(x, condition, attention)
        return x + self.ff(self.norm3(x))

    def patched(
        self,
        x: Tensor,  # (b*f, n, c)
        seen: Tensor,  # (b*f, n, c)
        condition: BlockCondition,
        attention: AttentionFunction,
        patches: TransformerPatches,
    ) -> Tensor:  # (b*f, n, c)
        """Return what `forward` returns, with a caller's changes."""
        if patches.changes("attn1"):
            own = self.attn1.to_out[0](self._patched_self(seen, condition, attention, patches))
        else:
            own = self.attn1.out(self._self_attention(seen, condition, attention))
        x = patches.between(x + patches.output("attn1", own))
        if patches.changes("attn2"):
            token = self._patched_cross(x, condition, attention, patches)
        else:
            token = self._cross_attention(x, condition, attention).expand_as(x).contiguous()
        x = x + patches.output("attn2", token)
        return x + self.ff(self.norm3(x))

    def _patched_self(
        self,
        seen: Tensor,
        condition: BlockCondition,
        attention: AttentionFunction,
        patches: TransformerPatches,
    ) -> Tensor:
        """Return the result of self-attention before its last projection.

        Patches change the frame's own tokens. The reference's keys and values stand behind the
        frame's, also where attention is replaced; it is replaced separately for rows with and
        without the reference. Of a result with a token for every key only the frame's are kept.
        """
        inputs = patches.inputs("attn1", seen, seen, seen)
        query = self.attn1.to_q(inputs[0])
        own = KeyValue(self.attn1.to_k(inputs[1]), self.attn1.to_v(inputs[2]))
        if len(own.key) != len(query):
            # A patch that divides the queries into tiles leaves the keys: they are divided in the
            # order of memory, as the attention functions of Stable Diffusion's UNet do.
            own = KeyValue(*(x.reshape(len(query), -1, x.shape[2]) for x in own))
        own = KeyValue(*(split_heads(x, self.attn1.heads) for x in own))
        each = len(query) // len(condition.attends)
        parts = []
        for run in attention_runs(own, condition, each):
            found = [
                self._replaced("attn1", query[run.frames], pair, run.rows, attention, patches, bias)
                for pair, bias in ((run.pair, run.bias), *run.others)
            ]
            parts.append(found[0] if len(found) == 1 else _chosen(condition, found, run.rows))
        return torch.cat(parts)

    def _patched_cross(
        self,
        x: Tensor,
        condition: BlockCondition,
        attention: AttentionFunction,
        patches: TransformerPatches,
    ) -> Tensor:
        rows = len(condition.attends)
        context = repeat(condition.context, "b n d -> (b f) n d", f=len(x) // rows).to(x)
        inputs = patches.inputs("attn2", self.norm2(x), context, context)
        query, key, value = (
            project(part)
            for project, part in zip(
                (self.attn2.to_q, self.attn2.to_k, self.attn2.to_v), inputs, strict=True
            )
        )
        pair = KeyValue(*(split_heads(part, self.attn2.heads) for part in (key, value)))
        every = slice(0, rows)
        found = self._replaced("attn2", query, pair, every, attention, patches)
        return self.attn2.to_out[0](found)

    def _replaced(
        self,
        name: str,
        query: Tensor,  # (b*f, n, c)
        pair: KeyValue,
        rows: slice,
        attention: AttentionFunction,
        patches: TransformerPatches,
        bias: Tensor | None = None,  # of the keys, as `AttentionFunction` takes it
    ) -> Tensor:  # (b*f, n, c)
        """Return the result of attention, which a patch may have replaced."""
        more = () if bias is None else (bias,)
        merged = (merge_heads(pair.key), merge_heads(pair.value))
        found = patches.attend(name, query, *merged, rows, *more)
        if found is not None:
            return found[:, : query.shape[1]]
        return merge_heads(attention(split_heads(query, pair.key.shape[1]), *pair, *more))

    def _self_attention(
        self, seen: Tensor, condition: BlockCondition, attention: AttentionFunction
    ) -> Tensor:
        query, (key, value) = self.attn1.query(seen), self.attn1.key_value(seen)
        if condition.reference is None:
            return attention(query, key, value)
        frames = query.shape[0] // len(condition.attends)
        parts = []
        for run in attention_runs(KeyValue(key, value), condition, frames):
            found = []
            for pair, bias in ((run.pair, run.bias), *run.others):
                more = () if bias is None else (bias,)
                found.append(attention(query[run.frames], *pair, *more))
            own = found[0] if len(found) == 1 else _chosen(condition, found, run.rows)
            parts.append(own)
        if len(parts) == 1:
            return parts[0]
        return torch.cat([part.transpose(1, 2) for part in parts]).transpose(1, 2)

    def _cross_attention(
        self, x: Tensor, condition: BlockCondition, attention: AttentionFunction
    ) -> Tensor:  # (b*f, n or 1, c), to be added to x
        b = len(condition.attends)
        if isinstance(condition.cross, Tensor):
            found = repeat(condition.cross.to(x), "b n c -> (b f) n c", f=len(x) // b)
            return found if condition.persons is None else _persons_tokens(condition, found, x)
        # All frames of a row attend to the same tokens, so their queries form one long sequence.
        query = self.attn2.query(self.norm2(rearrange(x, "(b f) n c -> b (f n) c", b=b)))
        key, value = condition.cross
        seen = self.attn2.out(attention(query, key.to(x), value.to(x)))
        return rearrange(seen, "b (f n) c -> (b f) n c", n=x.shape[1])


def _chosen(condition: BlockCondition, found: Sequence[Tensor], rows: slice) -> Tensor:
    """Return for each place the result for its person."""
    assert condition.persons is not None
    return condition.persons.choose(found, rows)


def _persons_tokens(
    condition: BlockCondition,
    found: Tensor,  # (b*f, 1, c), cross-attention's result
    x: Tensor,  # (b*f, n, c)
) -> Tensor:  # (b*f, n, c)
    """Return cross-attention's result where places of a person see that person's token."""
    persons = condition.persons
    assert persons is not None
    frames, parts = len(x) // len(condition.attends), []
    for row, attends in enumerate(condition.attends):
        own = found[row * frames : (row + 1) * frames].expand(-1, x.shape[1], -1)
        if attends:
            theirs = [cross.to(x).expand_as(own) for cross in persons.cross]
            own = persons.choose([own, *theirs], slice(row, row + 1))
        parts.append(own)
    return torch.cat(parts)


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
        patches: TransformerPatches | None = None,
    ) -> tuple[Tensor, Tensor]:  # (b*f, c, h, w); (b*f, h*w, c) the input of self-attention
        hidden = tokens(self.proj_in(self.norm(x)))
        seen = self.block.norm1(hidden)
        if code is not None:
            seen = seen + code
        if condition is None:
            return x, seen
        if patches is None:
            hidden = self.block(hidden, seen, condition, attention)
        else:
            hidden = self.block.patched(hidden, seen, condition, attention, patches)
        return x + self.proj_out(picture(hidden, x.shape[2])), seen
