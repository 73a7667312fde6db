"""Held-out test pairs: drawn characters and motions that are not used in training."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from einops import rearrange
from torch import Tensor

from ..drawn import PICTURE_SIZE
from ..drawn.characters import Character, make_character
from ..drawn.clip import skeletons_of
from ..drawn.kinds import make_kind, make_patterned
from ..drawn.motions import make_motion, seen_from
from ..drawn.painting import Painting, background_of, paint
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
    pair = _pair(f"character {index}", character, reference, paintings, size)
    return replace(pair, fps=MOTION_FPS / stride)


def patterned_pair(
    index: int,  # number of the character
    size: Size = PICTURE_SIZE,
) -> Pair:
    """Return a single frame of a character in patterned clothes, from the front."""
    rng = np.random.default_rng((HELD_OUT, 2, index))
    character = make_patterned(rng)
    posing, motion = make_motion(rng), make_motion(rng)
    times = rng.integers(200, size=2).astype(float)
    reference = paint(character, posing.angles(times[0]), size)
    frame = paint(character, motion.angles(times[1]), size)
    return _pair(f"patterned {index}", character, reference, [frame], size)


def _pair(
    name: str,
    character: Character,
    reference: Painting,
    paintings: list[Painting],
    size: Size,
) -> Pair:
    """Return painted frames as a pair."""
    masks = torch.from_numpy(np.stack([p.mask for p in paintings]))
    near = torch.nn.functional.max_pool2d(masks[:, None].float(), 7, 1, 3)[:, 0]
    skeletons = skeletons_of(paintings, size)
    return Pair(
        name=name,
        reference=_pixels(reference.picture)[None],
        poses=draw_pose(skeletons),
        skeletons=skeletons,
        truth=torch.stack([_pixels(p.picture) for p in paintings]),
        fps=MOTION_FPS,
        background=_pixels(background_of(character, size)),
        near=near > 127,
    )


@dataclass(frozen=True)
class Group:
    """Pairs that are drawn in the same way, with a row of their own."""

    title: str
    kind: str  # of KINDS
    from_behind: bool = False  # the clip shows the back, the reference the front


GROUPS = (
    Group("full figures", "full"),
    Group("half-length portraits", "half"),
    Group("cartoon characters", "cartoon"),
    Group("humanoids", "humanoid"),
    Group("back asked", "full", from_behind=True),
)
OF_GROUP = 16  # pairs of each group in the test
FRONTS = 64  # pairs of the test before the groups


def whole_test_pair(
    number: int,  # 0 to 63: the characters of `held_out_pair`; then one of each group in turn
    frames: int = 1,
    size: Size = PICTURE_SIZE,
) -> Pair:
    """Return a pair of the whole test: fronts, the four kinds, and backs."""
    if number < FRONTS:
        return held_out_pair(number, frames, size)
    index, group = divmod(number - FRONTS, len(GROUPS))
    return group_pair(GROUPS[group], index, frames, size)


def whole_test_name(number: int) -> str:
    """Return the name of a pair of the whole test, without drawing it."""
    if number < FRONTS:
        return f"character {number}"
    index, group = divmod(number - FRONTS, len(GROUPS))
    return f"{GROUPS[group].title} {index}"


def group_pair(
    group: Group,
    index: int,  # number in the group
    frames: int = 1,
    size: Size = PICTURE_SIZE,
) -> Pair:
    """Return a pair of a group; if the back is asked, `further` holds a picture of the back."""
    rng = np.random.default_rng((HELD_OUT, 1, GROUPS.index(group), index))
    character = make_kind(rng, group.kind, sides=group.from_behind)
    posing, motion, other = make_motion(rng), make_motion(rng), make_motion(rng)
    if group.from_behind:
        posing = seen_from(posing, 0.0, rng)
        motion, other = (seen_from(each, np.pi, rng) for each in (motion, other))
    times = rng.integers(200, size=3).astype(float)
    reference = paint(character, posing.angles(times[0]), size)
    paintings = [paint(character, motion.angles(times[1] + frame), size) for frame in range(frames)]
    pair = _pair(f"{group.title} {index}", character, reference, paintings, size)
    further: tuple[Tensor, ...] = ()
    if group.from_behind:
        further = (_pixels(paint(character, other.angles(times[2]), size).picture)[None],)
    return replace(pair, group=group.title, further=further)


def _pixels(picture: np.ndarray) -> Tensor:
    return rearrange(torch.from_numpy(picture), "H W c -> c H W").float() / 255
