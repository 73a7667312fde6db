"""The small parts of the networks: convolutional blocks, time embedding, feed-forward.

Feature maps are (b*f, c, h, w), frames folded into the batch, in channels_last memory, so that
`tokens` and `picture` are views. Modules are made by `Factory`, never by torch.nn directly: in
ComfyUI its own classes cast, quantise and offload the weights.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, cast

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional

from .convolution import with_fewer_products
from .position import timestep_code


class Operations(Protocol):
    """Classes of modules with the arguments of torch.nn: torch.nn itself, or ComfyUI's own."""

    Linear: Callable[..., nn.Module]
    Conv2d: Callable[..., nn.Module]
    GroupNorm: Callable[..., nn.Module]
    LayerNorm: Callable[..., nn.Module]


TORCH = cast(Operations, torch.nn)

# Bytes of the widest values that a feed-forward holds at once on a CPU. The C library gets larger
# blocks from the system each time, which fills every page with zeros.
_CHUNK_BYTES = 8 * 2**20
_LEAST_CHUNK = 256  # tokens; fewer make matrix products slow


class _ShapesOnly:
    """The classes of torch.nn for the meta device, where there are no values to fill in.

    torch would draw random numbers there too, which takes most of the time of building a network.
    """

    class Linear(nn.Linear):
        def reset_parameters(self) -> None:
            """Leave the weights as they are."""

    class Conv2d(nn.Conv2d):
        def reset_parameters(self) -> None:
            """Leave the weights as they are."""

    GroupNorm, LayerNorm = nn.GroupNorm, nn.LayerNorm


@dataclass(frozen=True)
class Factory:
    """Makes modules of the given classes, dtype and device."""

    operations: Operations = TORCH
    dtype: torch.dtype | None = None
    device: torch.device | str | None = None

    @property
    def _layers(self) -> Operations:
        on_meta = self.device is not None and torch.device(self.device).type == "meta"
        return (
            cast(Operations, _ShapesOnly)
            if on_meta and self.operations is TORCH
            else (self.operations)
        )

    def linear(self, inputs: int, outputs: int, *, bias: bool = True) -> nn.Module:
        return self._layers.Linear(inputs, outputs, bias=bias, dtype=self.dtype, device=self.device)

    def conv(
        self, inputs: int, outputs: int, kernel: int = 3, stride: int = 1, *, bias: bool = True
    ) -> nn.Module:
        layer = cast(type[nn.Conv2d], self._layers.Conv2d)
        if kernel == 3 and stride == 1:
            layer = with_fewer_products(layer)
        return layer(
            inputs,
            outputs,
            kernel,
            stride=stride,
            padding=(kernel - 1) // 2,
            bias=bias,
            dtype=self.dtype,
            device=self.device,
        )

    def group_norm(self, groups: int, channels: int, eps: float) -> nn.Module:
        return self.operations.GroupNorm(
            groups, channels, eps=eps, dtype=self.dtype, device=self.device
        )

    def layer_norm(self, channels: int) -> nn.Module:
        return self.operations.LayerNorm(channels, eps=1e-5, dtype=self.dtype, device=self.device)


def tokens(
    x: Tensor,  # (b, c, h, w), channels_last
) -> Tensor:  # (b, h*w, c)
    return rearrange(x, "b c h w -> b (h w) c")


def picture(
    x: Tensor,  # (b, h*w, c)
    rows: int,
) -> Tensor:  # (b, c, h, w), channels_last
    return rearrange(x, "b (h w) c -> b c h w", h=rows)


def normalise(
    norm: nn.Module,
    x: Tensor,  # (b*f, c, h, w)
    frames: int,  # 1: statistics of each frame alone; f: of the whole clip
) -> Tensor:  # (b*f, c, h, w)
    if frames == 1:
        return norm(x)
    # The reshaping goes through tokens, so that input and output of the norm are channels_last.
    clip = picture(rearrange(x, "(b f) c h w -> b (f h w) c", f=frames), frames)
    normed = rearrange(tokens(norm(clip)), "b (f n) c -> (b f) n c", f=frames)
    return picture(normed, x.shape[2])


class TimeEmbedding(nn.Module):
    """Turns timesteps into the vectors that every residual block adds."""

    def __init__(self, channels: int, make: Factory) -> None:
        super().__init__()
        self.channels = channels
        self.linear_1 = make.linear(channels, 4 * channels)
        self.linear_2 = make.linear(4 * channels, 4 * channels)

    def forward(
        self,
        timesteps: Tensor,  # (n,), 0..999
        dtype: torch.dtype,
    ) -> Tensor:  # (n, 4*channels)
        code = timestep_code(timesteps, self.channels).to(dtype)
        return self.linear_2(functional.silu(self.linear_1(code)))


class ResnetBlock(nn.Module):
    """Two convolutions with norms, the time vector added between them, and a shortcut."""

    def __init__(
        self, inputs: int, outputs: int, time_channels: int, groups: int, make: Factory
    ) -> None:
        super().__init__()
        self.norm1 = make.group_norm(groups, inputs, eps=1e-5)
        self.conv1 = make.conv(inputs, outputs)
        self.time_emb_proj = make.linear(time_channels, outputs)
        self.norm2 = make.group_norm(groups, outputs, eps=1e-5)
        self.conv2 = make.conv(outputs, outputs)
        self.conv_shortcut = make.conv(inputs, outputs, kernel=1) if inputs != outputs else None

    def forward(
        self,
        x: Tensor,  # (b*f, inputs, h, w)
        time: Tensor,  # (b*f, time_channels), activated
        norm_frames: int = 1,  # frames whose statistics the norms compute together
    ) -> Tensor:  # (b*f, outputs, h, w)
        hidden = self.conv1(functional.silu(normalise(self.norm1, x, norm_frames)))
        hidden = hidden + self.time_emb_proj(time)[:, :, None, None]
        hidden = self.conv2(functional.silu(normalise(self.norm2, hidden, norm_frames)))
        return hidden + (x if self.conv_shortcut is None else self.conv_shortcut(x))


class Downsample(nn.Module):
    """Halves height and width, rounding up."""

    def __init__(self, channels: int, make: Factory) -> None:
        super().__init__()
        self.conv = make.conv(channels, channels, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)


class Upsample(nn.Module):
    """Enlarges to the size of the next skip connection, which for odd sides is not the double."""

    def __init__(self, channels: int, make: Factory) -> None:
        super().__init__()
        self.conv = make.conv(channels, channels)

    def forward(self, x: Tensor, size: tuple[int, int]) -> Tensor:
        return self.conv(functional.interpolate(x, size=size, mode="nearest"))


class GatedLinear(nn.Module):
    """GEGLU: half of the outputs gate the other half."""

    def __init__(self, inputs: int, outputs: int, make: Factory) -> None:
        super().__init__()
        self.proj = make.linear(inputs, 2 * outputs)

    def forward(self, x: Tensor) -> Tensor:
        value, gate = self.proj(x).chunk(2, dim=-1)
        return value * functional.gelu(gate)


class FeedForward(nn.Module):
    """The feed-forward network of a transformer block; it works on each token alone.

    On a CPU it therefore works on a few tokens after another: its values in between are eight times
    as wide as the tokens, and to get memory for all of them takes a fifth of its time.
    """

    def __init__(self, channels: int, mult: int, make: Factory) -> None:
        super().__init__()
        inner = channels * mult
        # The public networks have dropout at index 1, which counts in the names of the weights.
        self.net = nn.ModuleList(
            [
                GatedLinear(channels, inner, make),
                nn.Identity(),
                make.linear(inner, channels),
            ]
        )

        self.inner = inner

    def forward(
        self,
        x: Tensor,  # (..., c)
    ) -> Tensor:  # (..., c)
        chunk = max(_LEAST_CHUNK, _CHUNK_BYTES // (2 * self.inner * x.itemsize))  # tokens
        if x.numel() <= chunk * x.shape[-1] or not self._in_chunks(x):
            return self.net[2](self.net[0](x))
        result = x.new_empty(x.shape)
        parts = (each.flatten(0, -2).split(chunk) for each in (x, result))
        for tokens_in, tokens_out in zip(*parts, strict=True):
            tokens_out.copy_(self.net[2](self.net[0](tokens_in)))
        return result

    def _in_chunks(self, x: Tensor) -> bool:
        if x.device.type != "cpu" or torch.is_grad_enabled() or torch.compiler.is_compiling():
            return False
        # ComfyUI may cast weights at every use, which would then be once for each chunk.
        return getattr(self.net[2], "weight", x).dtype == x.dtype
