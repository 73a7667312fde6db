"""What a training step is given, and what a source of examples has to know to give it.

Everything about a step follows from the seed and the step's number: a resumed run needs no state
of its data, and processes that share a step take rows of it without talking to each other.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Examples: b references, each with f targets of the same character.

    Pictures are either `encoded`, latents in the denoiser's scale as float32, or pixels as uint8
    that the trainer encodes with the frozen autoencoder. The image encoder's part is either the
    picture that it sees or, where it is frozen, the token that it would make of it.
    """

    encoded: bool
    reference: Tensor  # (b, c, h, w) latents, or (b, 3, H, W) uint8
    targets: Tensor  # (b, c, f, h, w) latents, or (b, 3, f, H, W) uint8
    poses: Tensor  # (b, f, 3, H, W), uint8 pictures of skeletons
    thumbs: Tensor | None = None  # (b, 3, s, s), uint8: the reference, squashed for the encoder
    tokens: Tensor | None = None  # (b, 1, d), float32
    masks: Tensor | None = None  # (b, 1, f, h, w), 0..1: share of each latent that is figure
    names: tuple[str, ...] = ()  # b, for messages: the clip or character of each row


@dataclass(frozen=True, kw_only=True)
class Draw:
    """How the examples of every step of a run are drawn."""

    seed: int
    examples: int  # references of one step, over all processes
    frames: int  # targets per reference: single frames in stage 1, the clip's length in stage 2
    consecutive: bool  # stage 2: targets follow each other in one span


class Source(Protocol):
    """Where examples come from."""

    def batch(self, draw: Draw, step: int, rows: Sequence[int]) -> Batch:
        """Return these rows, of 0..draw.examples - 1, of a step.

        A row is the same whatever rows it is asked with. All rows of a step have one size and one
        number of frames.
        """
        ...
