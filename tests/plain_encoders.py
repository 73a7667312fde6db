"""Encoders made of plain arithmetic, used in place of an autoencoder and of CLIP."""

import torch
from torch import Tensor
from torch.nn import functional

TOKEN = 16  # numbers in an image token


class MeanAutoencoder:
    """Its latents are the mean colours of 8x8 pixels, and the mean of the three colours."""

    def encode(self, frames: Tensor) -> Tensor:
        colours = functional.avg_pool2d(frames, 8) * 2 - 1
        return torch.cat([colours, colours.mean(1, keepdim=True)], 1)

    def decode(self, latents: Tensor) -> Tensor:
        colours = (latents[:, :3] / 2 + 0.5).clamp(0, 1)
        return functional.interpolate(colours, scale_factor=8, mode="nearest")


class MeanImageEncoder:
    """Its token is the picture's mean colour, repeated."""

    def encode(self, picture: Tensor) -> Tensor:
        colour = functional.pad(picture.mean((2, 3)), (0, 1), value=1.0)
        return colour.repeat(1, TOKEN // 4)[:, None]
