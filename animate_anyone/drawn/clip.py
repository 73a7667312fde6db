"""Clips of a drawn character: pictures and exact keypoints."""

import numpy as np

from ..types import Points, PoseClip, Size
from .characters import make_character
from .details import Part
from .kinds import KINDS, make_kind, make_patterned
from .motions import make_motion, turning
from .painting import Painting, paint

SIDED = 0.7  # share of the characters of all kinds that have a back


def paint_clip(
    rng: np.random.Generator,
    frames: np.ndarray,  # times, in frames of the motion
    size: Size,
) -> list[Painting]:
    """Return frames of a random character in a random motion, at the given times."""
    character, motion = make_character(rng), make_motion(rng)
    return [paint(character, motion.angles(float(frame)), size) for frame in frames]


def paint_any_clip(
    rng: np.random.Generator,
    frames: np.ndarray,  # times, in frames of the motion
    size: Size,
) -> list[Painting]:
    """Return frames of a random character of any kind; most of them have a back and turn."""
    sides = bool(rng.random() < SIDED)
    character, motion = make_kind(rng, str(rng.choice(KINDS)), sides=sides), make_motion(rng)
    if sides:
        motion = turning(motion, rng)
    return [paint(character, motion.angles(float(frame)), size) for frame in frames]


def paint_patterned_clip(
    rng: np.random.Generator,
    frames: np.ndarray,  # times, in frames of the motion
    size: Size,
) -> list[Painting]:
    """Return frames of a random character in patterned clothes, from the front."""
    character, motion = make_patterned(rng), make_motion(rng)
    return [paint(character, motion.angles(float(frame)), size) for frame in frames]


def skeletons_of(paintings: list[Painting], size: Size) -> PoseClip:
    """Return the exact keypoints of painted frames as a clip of one person."""

    def gathered(parts: list[Part]) -> Points:
        return Points(
            xy=np.stack([part.xy for part in parts])[:, None],
            confidence=np.stack([part.visible for part in parts])[:, None].astype(np.float64),
        )

    return PoseClip(
        canvas=size,
        body=gathered([Part(p.joints, p.visible) for p in paintings]),
        left_hand=gathered([p.details["left_hand"] for p in paintings]),
        right_hand=gathered([p.details["right_hand"] for p in paintings]),
        face=gathered([p.details["face"] for p in paintings]),
        feet=gathered([p.details["feet"] for p in paintings]),
    )
