"""Procedural characters: a source of pictures with exact keypoints and silhouettes.

Bodies, clothes, hair and backgrounds are generated from random numbers, so the same seed always
gives the same character. No downloaded data or pictures of real people are used.
"""

from dataclasses import dataclass

import numpy as np

from .cloth import PATTERNS, PRINTS
from .colours import Colour, jitter, vivid
from .motions import Proportions

SKINS: tuple[Colour, ...] = (
    (255, 224, 196), (241, 194, 155), (224, 172, 125), (198, 134, 88), (141, 85, 52), (92, 58, 38),
)  # fmt: skip
HAIRS: tuple[Colour, ...] = (
    (30, 25, 24), (62, 40, 28), (110, 70, 40), (160, 110, 60), (225, 190, 110), (170, 60, 35),
    (150, 150, 155), (90, 60, 150), (50, 120, 130),
)  # fmt: skip
HAIR_STYLES = ("bald", "cap", "bob", "long", "bun", "ponytail", "hat")
BOTTOMS = ("trousers", "striped", "shorts", "skirt", "long_skirt")
BACKGROUNDS = ("plain", "gradient", "floor", "panels", "sun")


@dataclass(frozen=True, kw_only=True)
class Sides:
    """What a front does not show: back, bag, and marks on one side of a character."""

    back: Colour | None  # None: the colour of the front
    back_second: Colour
    back_pattern: str  # of PATTERNS or PRINTS
    back_scale: float  # repetitions of the pattern over the torso
    bag: Colour | None  # on the back; its straps are visible from the front
    badge: Colour | None  # on the chest
    badge_side: int  # 1: on the character's left, -1: on its right
    band: Colour | None  # around the upper arm
    band_side: int


@dataclass(frozen=True, kw_only=True)
class Character:
    """The fixed properties of a character: body, clothes and background."""

    body: Proportions
    height: float  # standing height as a fraction of the picture's height
    ground: float  # height of the ankles, as a fraction of the picture's height
    centre: float  # position of the pelvis, as a fraction of the picture's width
    skin: Colour
    hair: Colour
    hair_style: str
    eyes: Colour
    top: Colour
    top_second: Colour
    pattern: str
    pattern_scale: float  # repetitions over the torso
    sleeve: float  # covered share of the arm, 0..1
    bottom: Colour
    bottom_second: Colour
    bottom_style: str
    shoes: Colour
    socks: bool
    belt: bool
    background: Colour
    background_second: Colour
    background_style: str
    head: str = "person"  # or a name of HEADS in `heads`
    sides: Sides | None = None  # how it differs from behind; None: a front only


def make_character(
    rng: np.random.Generator,
    *,
    close_up: bool | None = None,  # legs below the picture; None: one in six
) -> Character:
    """Return a random character."""
    body = _make_body(rng)
    near = bool(rng.random() < 1 / 6) if close_up is None else close_up
    background = vivid(rng, (0.05, 0.45), (0.45, 0.95))
    return Character(
        body=body,
        height=rng.uniform(1.15, 1.5) if near else rng.uniform(0.72, 0.84),
        ground=rng.uniform(1.25, 1.5) if near else rng.uniform(0.88, 0.94),
        centre=rng.uniform(0.44, 0.56),
        skin=jitter(rng, SKINS[rng.integers(len(SKINS))]),
        hair=jitter(rng, HAIRS[rng.integers(len(HAIRS))]),
        hair_style=str(rng.choice(HAIR_STYLES)),
        eyes=vivid(rng, (0.3, 0.9), (0.15, 0.5)),
        top=vivid(rng, (0.2, 0.95), (0.25, 0.95)),
        top_second=vivid(rng, (0.1, 0.9), (0.3, 1.0)),
        pattern=str(rng.choice(PATTERNS)),
        pattern_scale=rng.uniform(0.8, 1.4),
        sleeve=float(rng.choice([0.0, 0.45, 1.0])),
        bottom=vivid(rng, (0.1, 0.8), (0.2, 0.8)),
        bottom_second=vivid(rng, (0.1, 0.8), (0.3, 0.95)),
        bottom_style=str(rng.choice(BOTTOMS)),
        shoes=vivid(rng, (0.0, 0.7), (0.1, 0.9)),
        socks=bool(rng.random() < 0.3),
        belt=bool(rng.random() < 0.3),
        background=background,
        background_second=jitter(rng, background, 40),
        background_style=str(rng.choice(BACKGROUNDS)),
    )


def make_sides(rng: np.random.Generator) -> Sides:
    """Return random sides."""
    bag, badge, band = rng.random(3) < (0.3, 0.5, 0.35)
    return Sides(
        back=vivid(rng, (0.2, 0.95), (0.25, 0.95)) if rng.random() < 0.4 else None,
        back_second=vivid(rng, (0.1, 0.9), (0.3, 1.0)),
        back_pattern=str(rng.choice(PATTERNS + PRINTS)),
        back_scale=rng.uniform(0.8, 1.4),
        bag=vivid(rng, (0.3, 0.9), (0.2, 0.8)) if bag else None,
        badge=vivid(rng, (0.5, 1.0), (0.6, 1.0)) if badge else None,
        badge_side=int(rng.choice([-1, 1])),
        band=vivid(rng, (0.4, 1.0), (0.3, 1.0)) if band else None,
        band_side=int(rng.choice([-1, 1])),
    )


def _make_body(rng: np.random.Generator) -> Proportions:
    """Return random bone lengths that add up to a height of 1, from child-like to tall."""
    head = rng.uniform(0.065, 0.115)  # radius
    neck = rng.uniform(0.015, 0.035)
    rest = 1.0 - 2 * head - neck
    torso = rest * rng.uniform(0.36, 0.42)
    legs = rest - torso
    arms = torso * rng.uniform(1.1, 1.4)
    sturdy = rng.uniform(0.8, 1.3)
    return Proportions(
        head=head,
        neck=neck,
        torso=torso,
        shoulders=rng.uniform(0.17, 0.24) * np.sqrt(sturdy),
        hips=rng.uniform(0.09, 0.13) * np.sqrt(sturdy),
        upper_arm=arms * rng.uniform(0.5, 0.55),
        forearm=arms * rng.uniform(0.45, 0.5),
        thigh=legs * rng.uniform(0.49, 0.53),
        shin=legs * rng.uniform(0.47, 0.51),
        arm_width=0.027 * sturdy,
        leg_width=0.04 * sturdy,
    )
