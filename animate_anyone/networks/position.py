"""Sine tables for positions: of a frame in the clip, of a token in the picture, of a timestep."""

import math

import torch
from einops import rearrange
from torch import Tensor
from torch.nn import functional

from ..config import UNetConfig

SHORTEST_WAVE = 4.0  # latent rows or columns
LONGEST_WAVE = 256.0  # longer than any picture that the networks process at once


def frame_table(
    frames: int,
    channels: int,
    device: torch.device | str | None = None,
) -> Tensor:  # (1, frames, channels), float32
    """Return the sine table of "Attention is all you need": sine on even, cosine on odd places."""
    table = torch.empty(1, frames, channels, device=device)
    if table.is_meta:
        return table
    place = torch.arange(frames, dtype=torch.float32, device=device)[:, None]
    even = torch.arange(0, channels, 2, dtype=torch.float32, device=device)
    angle = place * torch.exp(even * (-math.log(10000.0) / channels))
    table[0, :, 0::2] = angle.sin()
    table[0, :, 1::2] = angle.cos()[:, : channels // 2]
    return table


def picture_code(
    rows: int,
    columns: int,
    channels: int,
    *,
    stride: int,  # latent cells per token, in both directions
    size: tuple[int, int],  # (h, w) of the whole latent picture
    device: torch.device | str | None = None,
) -> Tensor:  # (1, rows * columns, channels), float32, -1..1
    """Return a code of each token's place, which is the same at every resolution.

    Coordinates are latent cells from the middle of the picture, so that the middle has the same
    code in pictures of all sizes, and no size is out of range.
    """
    quarter = channels // 4
    steps = torch.linspace(0, 1, max(quarter, 2), device=device)[:quarter]
    waves = SHORTEST_WAVE * (LONGEST_WAVE / SHORTEST_WAVE) ** steps
    code = torch.zeros(rows, columns, channels, device=device)
    for axis, count in enumerate((rows, columns)):
        place = (torch.arange(count, device=device) + 0.5) * stride - size[axis] / 2
        angle = 2 * math.pi * place[:, None] / waves
        waves_here = torch.cat([angle.sin(), angle.cos()], dim=1)
        first = axis * 2 * quarter
        code[..., first : first + 2 * quarter] = waves_here[:, None] if axis == 0 else waves_here
    return code.reshape(1, rows * columns, channels)


def resize_code(
    code: Tensor,  # (1, rows * columns, channels)
    rows: int,
    size: tuple[int, int],  # rows and columns of the result
) -> Tensor:  # (1, h * w, channels)
    """Return a picture's code for features that were enlarged or made smaller."""
    places = rearrange(code, "b (h w) c -> b c h w", h=rows)
    resized = functional.interpolate(places.float(), size=size, mode="bilinear")
    return rearrange(resized, "b c h w -> b (h w) c").to(code)


def timestep_code(
    timesteps: Tensor,  # (n,), 0..999
    channels: int,
) -> Tensor:  # (n, channels), float32
    """Return the sine code of noise levels: cosines first, as Stable Diffusion has it."""
    half = channels // 2
    place = torch.arange(half, dtype=torch.float32, device=timesteps.device)
    angle = timesteps.float()[:, None] * torch.exp(place * (-math.log(10000.0) / half))
    return torch.cat([angle.cos(), angle.sin()], dim=1)


def level_codes(
    config: UNetConfig,
    latents: Tensor,  # (b, c, f, h, w)
) -> tuple[Tensor | None, ...]:  # per level: (1, n, c); None without a position code
    """Return the position code of each level for latents of this size."""
    if not config.position_code:
        return (None,) * len(config.block_out_channels)
    size = rows, columns = latents.shape[3], latents.shape[4]
    codes = []
    for level, channels in enumerate(config.block_out_channels):
        code = picture_code(
            rows, columns, channels, stride=2**level, size=size, device=latents.device
        )
        codes.append((code * config.position_code).to(compute_dtype(latents)))
        rows, columns = -(-rows // 2), -(-columns // 2)
    return tuple(codes)


def compute_dtype(latents: Tensor) -> torch.dtype:
    """Return the dtype in which autocast computes on the latents' device, else the latents' own."""
    device = latents.device.type
    # Torch raises an error when asked about a device that knows no autocast.
    if torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device):
        return torch.get_autocast_dtype(device)
    return latents.dtype
