"""Motion modules: self-attention over the frames at every place of the picture.

Paper, section 3.3, in the layout of AnimateDiff. Frames are never copied to another layout: every
projection works on tokens, and attention reads a strided view.
"""

import torch
from einops import rearrange
from torch import Tensor, nn

from ..config import MotionConfig
from ..protocols import AttentionFunction
from .layers import Factory, FeedForward, picture, tokens
from .position import frame_table


class FramePosition(nn.Module):
    """Adds the table of frame positions. The weight files contain it, so it is a buffer."""

    def __init__(self, frames: int, channels: int, device: torch.device | str | None) -> None:
        super().__init__()
        self.pe: Tensor
        self.register_buffer("pe", frame_table(frames, channels, device))

    def forward(
        self,
        x: Tensor,  # (b, f, n, c)
    ) -> Tensor:
        # ComfyUI may keep buffers on another device and in another dtype than the weights.
        return x + self.pe[0, : x.shape[1], None].to(x)


class TemporalAttention(nn.Module):
    """Self-attention over the frames, for each place of the picture alone."""

    def __init__(self, channels: int, config: MotionConfig, make: Factory) -> None:
        super().__init__()
        self.heads = config.heads
        self.to_q = make.linear(channels, channels, bias=False)
        self.to_k = make.linear(channels, channels, bias=False)
        self.to_v = make.linear(channels, channels, bias=False)
        self.to_out = nn.ModuleList([make.linear(channels, channels)])
        self.pos_encoder = FramePosition(config.max_frames, channels, make.device)

    def forward(
        self,
        x: Tensor,  # (b, f, n, c), normed
        attention: AttentionFunction,
    ) -> Tensor:  # (b, f, n, c)
        x = self.pos_encoder(x)
        rows = zip(self.to_q(x), self.to_k(x), self.to_v(x), strict=True)
        # One row at a time, because only then the places form a batch with a single stride.
        seen = [attention(*(self._places(part) for part in row)) for row in rows]
        merged = [rearrange(part, "n heads f d -> f n (heads d)") for part in seen]
        return self.to_out[0](torch.stack(merged) if len(merged) > 1 else merged[0][None])

    def _places(
        self,
        x: Tensor,  # (f, n, c)
    ) -> Tensor:  # (n, heads, f, d), a view
        return rearrange(x, "f n (heads d) -> n heads f d", heads=self.heads)


class TemporalBlock(nn.Module):
    """Temporal self-attentions and a feed-forward."""

    def __init__(self, channels: int, config: MotionConfig, make: Factory) -> None:
        super().__init__()
        count = config.attention_blocks
        self.attention_blocks = nn.ModuleList(
            [TemporalAttention(channels, config, make) for _ in range(count)]
        )
        self.norms = nn.ModuleList([make.layer_norm(channels) for _ in range(count)])
        self.ff = FeedForward(channels, config.ff_mult, make)
        self.ff_norm = make.layer_norm(channels)

    def forward(self, x: Tensor, attention: AttentionFunction) -> Tensor:
        for norm, attend in zip(self.norms, self.attention_blocks, strict=True):
            x = x + attend(norm(x), attention)
        return x + self.ff(self.ff_norm(x))


class TemporalTransformer(nn.Module):
    """A temporal block between two projections; its result is added to its input."""

    def __init__(self, channels: int, config: MotionConfig, make: Factory) -> None:
        super().__init__()
        self.norm = make.group_norm(config.norm_groups, channels, eps=1e-6)
        self.proj_in = make.linear(channels, channels)
        self.transformer_blocks = nn.ModuleList([TemporalBlock(channels, config, make)])
        self.proj_out = make.linear(channels, channels)

    def forward(
        self,
        x: Tensor,  # (b*f, c, h, w)
        frames: int,
        attention: AttentionFunction,
    ) -> Tensor:  # (b*f, c, h, w)
        hidden = self.proj_in(tokens(self.norm(x)))
        hidden = rearrange(hidden, "(b f) n c -> b f n c", f=frames)
        hidden = self.transformer_blocks[0](hidden, attention)
        hidden = rearrange(self.proj_out(hidden), "b f n c -> (b f) n c")
        return x + picture(hidden, x.shape[2])


class MotionModule(nn.Module):
    """A temporal transformer as a child with the name that the weight files use."""

    def __init__(self, channels: int, config: MotionConfig, make: Factory) -> None:
        super().__init__()
        self.temporal_transformer = TemporalTransformer(channels, config, make)

    def forward(self, x: Tensor, frames: int, attention: AttentionFunction) -> Tensor:
        return self.temporal_transformer(x, frames, attention)
