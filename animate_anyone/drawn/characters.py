"""Procedural characters: a source of pictures with exact keypoints and silhouettes.

Bodies, clothes, hair and backgrounds are generated from random numbers, so the same seed always
gives the same character. No downloaded data or pictures of real people are used.
"""

import colorsys
from dataclasses import dataclass

import numpy as np

from .motions import Proportions

Colour = tuple[int, int, int]  # RGB, 0..255

SKINS: tuple[Colour, ...] = (
    (255, 224, 196), (241, 194, 155), (224, 172, 125), (198, 134, 88), (141, 85, 52), (92, 58, 38),
)  # fmt: skip
HAIRS: tuple[Colour, ...] = (
    (30, 25, 24), (62, 40, 28), (110, 70, 40), (160, 110, 60), (225, 190, 110), (170, 60, 35),
    (150, 150, 155), (90, 60, 150), (50, 120, 130),
)  # fmt: skip
HAIR_STYLES = ("bald", "cap", "bob", "long", "bun", "ponytail", "hat")
PATTERNS = ("plain", "rows", "columns", "checks", "dots", "halves", "logo")
BOTTOMS = ("trousers", "striped", "shorts", "skirt", "long_skirt")
BACKGROUNDS = ("plain", "gradient", "floor", "panels", "sun")


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


def make_character(
    rng: np.random.Generator,
    *,
    close_up: bool | None = None,  # legs below the picture; None: one in six
) -> Character:
    """Return a random character."""
    body = _make_body(rng)
    near = bool(rng.random() < 1 / 6) if close_up is None else close_up
    background = _vivid(rng, (0.05, 0.45), (0.45, 0.95))
    return Character(
        body=body,
        height=rng.uniform(1.15, 1.5) if near else rng.uniform(0.72, 0.84),
        ground=rng.uniform(1.25, 1.5) if near else rng.uniform(0.88, 0.94),
        centre=rng.uniform(0.44, 0.56),
        skin=_jitter(rng, SKINS[rng.integers(len(SKINS))]),
        hair=_jitter(rng, HAIRS[rng.integers(len(HAIRS))]),
        hair_style=str(rng.choice(HAIR_STYLES)),
        eyes=_vivid(rng, (0.3, 0.9), (0.15, 0.5)),
        top=_vivid(rng, (0.2, 0.95), (0.25, 0.95)),
        top_second=_vivid(rng, (0.1, 0.9), (0.3, 1.0)),
        pattern=str(rng.choice(PATTERNS)),
        pattern_scale=rng.uniform(0.8, 1.4),
        sleeve=float(rng.choice([0.0, 0.45, 1.0])),
        bottom=_vivid(rng, (0.1, 0.8), (0.2, 0.8)),
        bottom_second=_vivid(rng, (0.1, 0.8), (0.3, 0.95)),
        bottom_style=str(rng.choice(BOTTOMS)),
        shoes=_vivid(rng, (0.0, 0.7), (0.1, 0.9)),
        socks=bool(rng.random() < 0.3),
        belt=bool(rng.random() < 0.3),
        background=background,
        background_second=_jitter(rng, background, 40),
        background_style=str(rng.choice(BACKGROUNDS)),
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


def _vivid(
    rng: np.random.Generator, saturation: tuple[float, float], value: tuple[float, float]
) -> Colour:
    """Return a random colour of any hue."""
    red, green, blue = colorsys.hsv_to_rgb(
        rng.random(), rng.uniform(*saturation), rng.uniform(*value)
    )
    return int(red * 255), int(green * 255), int(blue * 255)


def _jitter(rng: np.random.Generator, colour: Colour, amount: int = 10) -> Colour:
    """Return the colour with every channel changed at random by up to `amount`."""
    moved = np.clip(np.array(colour) + rng.integers(-amount, amount + 1, 3), 0, 255)
    return int(moved[0]), int(moved[1]), int(moved[2])
