"""The tiny autoencoder of aa-mini and of TAESD files: plain convolutions, no normalisation.

Layer numbers are those of the published files. diffusers has the same network; to import it from
there takes longer than a short animation on aa-mini.
"""

import torch
from torch import Tensor, nn

from ..layers import TORCH, Factory, Operations

STEEPEST = 3.0  # latents are squashed smoothly into -3..3 before they are decoded

# Bytes of a layer's features in a call on a CPU. The C library gets larger blocks from the system
# each time, which fills every page with zeros. At 128x128 pixels, calls of 8 frames in torch's
# usual order of memory take 1.4 times as long.
_CALL_BYTES = 16 * 2**20


class TinyAutoencoder(nn.Module):
    """Encodes pictures to latents of an eighth of their size, and decodes them."""

    def __init__(
        self,
        latent_channels: int = 4,
        width: int = 64,  # channels of all layers inside
        *,
        operations: Operations = TORCH,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> None:
        super().__init__()
        make = Factory(operations, dtype, device)
        self.width = width
        self.encoder = TinyEncoder(latent_channels, width, make)
        self.decoder = TinyDecoder(latent_channels, width, make)

    def encode(
        self,
        pixels: Tensor,  # (b, 3, H, W), -1..1
    ) -> Tensor:  # (b, c, H/8, W/8)
        return self.encoder(pixels)

    def decode(
        self,
        latents: Tensor,  # (b, c, h, w)
    ) -> Tensor:  # (b, 3, 8h, 8w), -1..1 and a little beyond
        return self.decoder(latents)


def by_places(frames: Tensor) -> Tensor:
    """Return frames in the order of memory in which a CPU convolves few channels fastest."""
    return frames.contiguous(memory_format=torch.channels_last)


def frames_in_call(
    pixels: int,  # of a picture
    most: int,  # frames
    width: int = 64,  # channels of the network's layers
    value_bytes: int = 4,  # of a number in the network
) -> int:
    """Return how many frames a call on a CPU takes: at most so many, at least one."""
    return max(1, min(most, _CALL_BYTES // max(1, width * pixels * value_bytes)))


class TinyEncoder(nn.Module):
    """Halves the picture three times, with residual blocks in between."""

    def __init__(self, latent_channels: int, width: int, make: Factory) -> None:
        super().__init__()
        layers = [make.conv(3, width), TinyBlock(width, make)]
        for _ in range(3):
            layers += [make.conv(width, width, stride=2, bias=False)]
            layers += [TinyBlock(width, make) for _ in range(3)]
        self.layers = nn.Sequential(*layers, make.conv(width, latent_channels))

    def forward(
        self,
        pixels: Tensor,  # (b, 3, H, W), -1..1
    ) -> Tensor:  # (b, c, H/8, W/8)
        return self.layers((pixels + 1) / 2)


class TinyDecoder(nn.Module):
    """Doubles the latents' size three times, with residual blocks in between."""

    def __init__(self, latent_channels: int, width: int, make: Factory) -> None:
        super().__init__()
        layers = [make.conv(latent_channels, width), nn.ReLU(inplace=True)]
        for _ in range(3):
            layers += [TinyBlock(width, make) for _ in range(3)]
            layers += [nn.Upsample(scale_factor=2), make.conv(width, width, bias=False)]
        self.layers = nn.Sequential(*layers, TinyBlock(width, make), make.conv(width, 3))

    def forward(
        self,
        latents: Tensor,  # (b, c, h, w)
    ) -> Tensor:  # (b, 3, 8h, 8w)
        return self.layers((latents / STEEPEST).tanh() * STEEPEST) * 2 - 1


class TinyBlock(nn.Module):
    """Three convolutions, added to their input."""

    def __init__(self, width: int, make: Factory) -> None:
        super().__init__()
        first, *others = (make.conv(width, width) for _ in range(3))
        # ReLUs count in the numbers of the layers.
        relus = (nn.ReLU(inplace=True), nn.ReLU(inplace=True))
        self.conv = nn.Sequential(first, relus[0], others[0], relus[1], others[1])

    def forward(
        self,
        x: Tensor,  # (b, width, H, W)
    ) -> Tensor:
        return (self.conv(x) + x).relu_()
