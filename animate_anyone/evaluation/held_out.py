"""Held-out test pairs: drawn characters and motions that are not used in training."""

from collections.abc import Iterator

import numpy as np
import torch
from einops import rearrange
from torch import Tensor

from ..drawn import PICTURE_SIZE
from ..drawn.characters import make_character
from ..drawn.clip import skeletons_of
from ..drawn.motions import make_motion
from ..drawn.painting import background_of, paint
from ..pose.drawing.draw import draw_pose
from ..types import Size
from .pairs import Pair

HELD_OUT = 1_000_000  # training seeds stay below
MOTION_FPS = 30.0  # frame rate at which the motions look natural


def held_out_pairs(
    count: int = 64, frames: int = 1, size: Size = PICTURE_SIZE, first: int = 0
) -> Iterator[Pair]:
    """Yield `count` pairs of the test, from the number `first` on."""
    for index in range(first, first + count):
        yield held_out_pair(index, frames, size)


def held_out_pair(
    index: int,  # number of the character and its motion
    frames: int = 1,
    size: Size = PICTURE_SIZE,
    stride: int = 1,  # frames of the motion per frame of the clip
) -> Pair:
    """Return a pair; its reference is a moment of another motion of the same character."""
    rng = np.random.default_rng((HELD_OUT, index))
    character = make_character(rng)
    posing, motion = make_motion(rng), make_motion(rng)
    reference = paint(character, posing.angles(float(rng.integers(200))), size)
    start = float(rng.integers(200))
    times = [start + stride * frame for frame in range(frames)]
    paintings = [paint(character, motion.angles(time), size) for time in times]
    masks = torch.from_numpy(np.stack([p.mask for p in paintings]))
    near = torch.nn.functional.max_pool2d(masks[:, None].float(), 7, 1, 3)[:, 0]
    skeletons = skeletons_of(paintings, size)
    return Pair(
        name=f"character {index}",
        reference=_pixels(reference.picture)[None],
        poses=draw_pose(skeletons),
        skeletons=skeletons,
        truth=torch.stack([_pixels(p.picture) for p in paintings]),
        fps=MOTION_FPS / stride,
        background=_pixels(background_of(character, size)),
        near=near > 127,
    )


def _pixels(picture: np.ndarray) -> Tensor:
    return rearrange(torch.from_numpy(picture), "H W c -> c H W").float() / 255
