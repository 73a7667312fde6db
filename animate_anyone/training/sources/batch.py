"""The batch of a training step, and the interface of a source of examples.

A batch depends only on the seed and the number of the step. So a resumed run needs no state of its
data, and processes that share a step take their rows without communication.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Protocol

from torch import Tensor

from ...errors import InputError
from ...pose.skeleton.part_boxes import BoxRule


@dataclass(frozen=True, kw_only=True)
class Extra:
    """One further reference picture of some examples, in the form of the batch's references."""

    reference: Tensor  # (b, c, h, w) latents, or (b, 3, H, W) uint8
    thumbs: Tensor | None = None  # (b, 3, s, s), uint8
    tokens: Tensor | None = None  # (b, 1, d), float32
    present: tuple[bool, ...] = ()  # b: False where the example does not have it

    def pin_memory(self) -> "Extra":
        """Return a copy in pinned memory; the loader calls this."""
        return replace(self, **_pinned(self))


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Examples: b references, each with f targets of the same character.

    Pictures are either `encoded`, latents in the denoiser's scale as float32, or pixels as uint8
    that the trainer encodes with the frozen autoencoder. For the image encoder there are either
    `thumbs`, its input pictures, or, if it is frozen, `tokens`, its output.
    """

    encoded: bool
    reference: Tensor  # (b, c, h, w) latents, or (b, 3, H, W) uint8
    targets: Tensor  # (b, c, f, h, w) latents, or (b, 3, f, H, W) uint8
    poses: Tensor  # (b, f, 3, H, W), uint8 pictures of skeletons
    thumbs: Tensor | None = None  # (b, 3, s, s), uint8: the references, resized to a square
    tokens: Tensor | None = None  # (b, 1, d), float32
    masks: Tensor | None = None  # (b, 1, f, h, w), 0..1: share of the figure in each latent
    hands: Tensor | None = None  # (b, 1, f, h, w), 0..1: share of boxes around hands in each latent
    faces: Tensor | None = None  # (b, 1, f, h, w): the same of faces
    extras: tuple[Extra, ...] = ()  # further reference pictures
    names: tuple[str, ...] = ()  # b, for messages: the clip or character of each row

    def pin_memory(self) -> "Batch":
        """Return a copy in pinned memory, from which a card copies while it computes."""
        extras = tuple(extra.pin_memory() for extra in self.extras)
        return replace(self, **_pinned(self), extras=extras)


def _pinned(record: Extra | Batch) -> dict[str, Tensor]:
    values = ((entry.name, getattr(record, entry.name)) for entry in fields(record))
    return {name: value.pin_memory() for name, value in values if isinstance(value, Tensor)}


@dataclass(frozen=True, kw_only=True)
class Draw:
    """How the examples of every step of a run are drawn."""

    seed: int
    examples: int  # references of one step, over all processes
    frames: int  # targets per reference: single frames in stage 1, the clip's length in stage 2
    consecutive: bool  # stage 2: targets are consecutive frames of one span
    references: int = 1  # most reference pictures of an example
    reference_dropout: float = 0.0  # share of those after the first that are left out
    distance: int = 0  # least frames from the reference to each target
    least_crop: float = 1.0  # random crops have this share of the sides or more; 1: none
    figure: float = 0.0  # margin of masks around the limbs of prepared clips; 0: no masks
    hands: BoxRule | None = None  # boxes around hands; None: not needed
    faces: BoxRule | None = None


def refuse_clip_settings(draw: Draw, what: str) -> None:
    """Raise InputError for settings that only sources of prepared clips follow."""
    for name, value, usual in (
        ("reference_distance", draw.distance, 0),
        ("least_crop", draw.least_crop, 1.0),
    ):
        if value != usual:
            raise InputError(
                f"{name} got {value}; {what} cannot be drawn so. Set it to {usual:g}, or train on "
                "a folder made by `prepare`."
            )


class Source(Protocol):
    """Where examples come from."""

    def batch(self, draw: Draw, step: int, rows: Sequence[int]) -> Batch:
        """Return these rows, of 0..draw.examples - 1, of a step.

        A row does not depend on the other rows in the call. All rows of a step have the same size
        and number of frames.
        """
        ...
