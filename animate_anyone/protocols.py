"""Protocols of the objects that callers pass to the core: encoders, attention and progress."""

from collections.abc import Callable
from typing import Protocol

from torch import Tensor


class AttentionFunction(Protocol):
    """Scaled dot-product attention without mask, softmax over the keys."""

    def __call__(
        self,
        query: Tensor,  # (b, heads, n, d)
        key: Tensor,  # (b, heads, m, d)
        value: Tensor,  # (b, heads, m, d)
    ) -> Tensor:  # (b, heads, n, d)
        ...


class Autoencoder(Protocol):
    """Converts pixels to latents and back; latents are in the denoiser's scale."""

    def encode(
        self,
        frames: Tensor,  # (f, 3, H, W), 0..1
    ) -> Tensor:  # (f, c, H/8, W/8)
        ...

    def decode(
        self,
        latents: Tensor,  # (f, c, h, w)
    ) -> Tensor:  # (f, 3, 8h, 8w), 0..1
        ...


class ImageEncoder(Protocol):
    """Encodes a picture as the single token used in cross-attention (paper, section 3.2)."""

    def encode(
        self,
        picture: Tensor,  # (1, 3, H, W), 0..1
    ) -> Tensor:  # (1, 1, d)
        ...


Progress = Callable[[int, int], None]
"""Called as progress(done, total) after each unit of work; may raise to interrupt."""
