"""The host's attention for our networks, and PyTorch's where the host's would not do."""

import itertools
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from .host import arguments, attentions, check_interrupt

chosen = attentions.optimized_attention  # the host's, by its options and what is installed

ROWS = 2**15  # in a call; more are an error of CUDA's kernels
FEW_TOKENS, SAGE_HEAD = 32, 128  # queries; the widest head that SageAttention takes
HEEDS_MASK = frozenset(
    f"attention_{name}" for name in ("basic", "sub_quad", "split", "xformers", "pytorch")
)


def attend(
    query: Tensor,  # (b, heads, n, d)
    key: Tensor,  # (b, heads, m, d)
    value: Tensor,  # (b, heads, m, d)
    options: Mapping[str, Any] | None = None,  # the host's, with replacements by other nodes
    bias: Tensor | None = None,  # (1 or b, 1, 1, m), added to the scores
) -> Tensor:  # (b, heads, n, d)
    """Run the host's attention, on parts of the batch if it has more rows than kernels take.

    The host would split it too, but then it ignores that the heads shall stay apart. Temporal
    attention has a row for each place of the latents: more than 32768 from 1536x1536 pixels on.
    """
    if not torch.compiler.is_compiling():
        check_interrupt()  # 0.33 looks before each of its layers, earlier versions once a step
    limit = getattr(attentions, "SDP_BATCH_LIMIT", ROWS)
    more: dict[str, Any] = {"skip_reshape": True, "skip_output_reshape": True}
    more |= {} if options is None else {"transformer_options": options}
    rows = max(1, min(limit, ROWS))
    if len(query) > rows:
        biases = bias.split(rows) if bias is not None and len(bias) > 1 else itertools.repeat(bias)
        parts = zip(query.split(rows), key.split(rows), value.split(rows), biases, strict=False)
        return torch.cat([attend(*part[:3], options, part[3]) for part in parts])
    more |= {} if bias is None else {"mask": bias}
    return function_for(query, bias)(query, key, value, query.shape[1], **more)


def function_for(query: Tensor, bias: Tensor | None) -> Callable[..., Tensor]:
    """Return the host's attention, or PyTorch's where the host's would not do.

    SageAttention ignores masks and refuses wide heads, FlashAttention refuses masks. The few
    frames of temporal attention fill no block of their kernels. What the host takes on a CPU, if
    its user has not chosen, takes longer than PyTorch's and keeps the scores in memory.
    """
    name = chosen.__name__
    asked = arguments.use_quad_cross_attention or arguments.force_upcast_attention
    slow = name == "attention_sub_quad" and not asked and query.device.type == "cpu"
    wide = "sage" in name and query.shape[3] > SAGE_HEAD
    suits = bias is None and query.shape[2] > FEW_TOKENS and not wide
    own = (suits or name in HEEDS_MASK) and not slow
    return chosen if own else attentions.attention_pytorch


def plain_attention(
    query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None = None
) -> Tensor:
    """Run the host's attention on (b, heads, n, d)."""
    return attend(query, key, value, bias=bias)
