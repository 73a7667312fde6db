"""Protocols of the objects that callers pass to the core: encoders, attention and progress."""

from collections.abc import Callable
from typing import Protocol

from torch import Tensor


class AttentionFunction(Protocol):
    """Scaled dot-product attention, softmax over the keys.

    `bias` is passed only where reference pictures have strengths other than 1, so a call without
    strengths runs the kernels for attention without a mask.
    """

    def __call__(
        self,
        query: Tensor,  # (b, heads, n, d)
        key: Tensor,  # (b, heads, m, d)
        value: Tensor,  # (b, heads, m, d)
        bias: Tensor | None = None,  # (1 or b, 1, 1, m), added to the scores; -inf leaves a key out
    ) -> Tensor:  # (b, heads, n, d)
        ...


class TransformerPatches(Protocol):
    """A caller's changes to one transformer block; "attn1" is self-, "attn2" cross-attention."""

    def changes(self, name: str) -> bool:
        """Return whether inputs or computation of this attention are changed."""
        ...

    def inputs(
        self,
        name: str,
        query: Tensor,  # (b*f, n, c), normed
        key: Tensor,  # (b*f, m, d): in attn1 the frame's own tokens, in attn2 the image tokens
        value: Tensor,  # (b*f, m, d)
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return what queries, keys and values are projected from."""
        ...

    def attend(
        self,
        name: str,
        query: Tensor,  # (k*f, n, c), projected
        key: Tensor,  # (k*f, m, c)
        value: Tensor,  # (k*f, m, c)
        rows: slice,  # which k of the call's b rows these are
        bias: Tensor | None = None,  # (1 or k*f, 1, 1, m) of the keys, as for `AttentionFunction`
    ) -> Tensor | None:  # (k*f, n, c)
        """Return the result of attention before its last projection; None: not replaced."""
        ...

    def output(
        self,
        name: str,
        x: Tensor,  # (b*f, n, c)
    ) -> Tensor:  # (b*f, n, c)
        """Return the projected result, which is then added to the features."""
        ...

    def between(
        self,
        x: Tensor,  # (b*f, n, c)
    ) -> Tensor:
        """Return the features between self-attention and cross-attention."""
        ...


class Patches(Protocol):
    """A caller's changes to features inside the UNet, in one call of it.

    Blocks have the numbers of Stable Diffusion's first layout: on the way down conv_in is "input"
    0, and every layer and every step to half the resolution is the next one; "middle" is 0; on the
    way up every layer is an "output".
    """

    def time(
        self,
        x: Tensor,  # (b*f, 4*c), before its activation
    ) -> Tensor: ...

    def input_block(
        self,
        number: int,
        x: Tensor,  # (b*f, c, h, w)
    ) -> tuple[Tensor, Tensor]:
        """Return what the skip connection gets, and what the next block gets."""
        ...

    def middle_block(self, x: Tensor) -> Tensor: ...

    def output_block(self, number: int, x: Tensor, skip: Tensor) -> tuple[Tensor, Tensor]:
        """Return the features and the skip connection that a block on the way up joins."""
        ...

    def transformer(
        self,
        kind: str,  # "input", "middle" or "output"
        number: int,  # of the block
        index: int,  # of the transformer in the network, in order of execution
    ) -> TransformerPatches | None:
        """Return the changes to the transformer of a block; None: there are none."""
        ...


ENCODER = "encoder"  # the half of an autoencoder that decoding does not need, for `let_go`


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

Look = Callable[[], None]
"""Called as often as possible within a unit of work; may raise to interrupt."""
