"""The kinds of characters of the paper's figure 3: full figures, portraits, cartoons, humanoids."""

from dataclasses import replace

import numpy as np

from .characters import Character, make_character, make_sides
from .cloth import PATTERNS, PRINTS
from .colours import vivid
from .heads import ANIMALS, CARTOON, ROBOT
from .motions import Proportions

KINDS = ("full", "half", "cartoon", "humanoid")


def make_kind(
    rng: np.random.Generator,
    kind: str,  # of KINDS
    *,
    sides: bool = False,  # with a back, bag and badge of its own
) -> Character:
    """Return a random character of a kind."""
    character = make_character(rng, close_up=False)
    if kind == "half":
        character = _portrait(character, rng)
    elif kind == "cartoon":
        character = _cartoon(character, rng)
    elif kind == "humanoid":
        character = _humanoid(character, rng)
    return replace(character, sides=make_sides(rng)) if sides else character


def make_patterned(rng: np.random.Generator) -> Character:
    """Return a full figure with a patterned top of strong contrast, striped trousers and marks.

    Such clothes cannot be told in a few numbers: to repeat them, a network must see the picture.
    """
    character = make_character(rng, close_up=False)
    patterns = tuple(name for name in PATTERNS if name != "plain") + PRINTS
    first, second = (vivid(rng, (0.4, 0.95), value) for value in ((0.25, 0.55), (0.75, 1.0)))
    if rng.random() < 0.5:
        first, second = second, first
    return replace(
        character,
        pattern=str(rng.choice(patterns)),
        pattern_scale=rng.uniform(0.6, 1.2),
        top=first,
        top_second=second,
        bottom_style="striped",
        sides=replace(make_sides(rng), bag=None),
    )


def _portrait(character: Character, rng: np.random.Generator) -> Character:
    """Return the character close to the viewer, from the hips upwards."""
    height = rng.uniform(1.45, 1.8)
    return replace(character, height=height, ground=height + rng.uniform(0.06, 0.14))


def _cartoon(character: Character, rng: np.random.Generator) -> Character:
    """Return the character with a head of two fifths of its height, and short limbs."""
    head = rng.uniform(0.16, 0.205)
    rest = 1 - 2 * head - 0.01
    torso = rest * rng.uniform(0.42, 0.5)
    legs, arms = rest - torso, torso * rng.uniform(1.05, 1.25)
    body = Proportions(
        head=head,
        neck=0.01,
        torso=torso,
        shoulders=rng.uniform(0.17, 0.22),
        hips=rng.uniform(0.1, 0.13),
        upper_arm=arms * 0.5,
        forearm=arms * 0.5,
        thigh=legs * 0.5,
        shin=legs * 0.5,
        arm_width=rng.uniform(0.03, 0.04),
        leg_width=rng.uniform(0.045, 0.055),
    )
    return replace(character, body=body, head=CARTOON)


def _humanoid(character: Character, rng: np.random.Generator) -> Character:
    """Return a robot, or a figure with fur and an animal's head."""
    if rng.random() < 0.5:
        metal = vivid(rng, (0.0, 0.3), (0.55, 0.95))
        return replace(
            character,
            head=ROBOT,
            skin=metal,
            hair_style="bald",
            eyes=vivid(rng, (0.6, 1.0), (0.85, 1.0)),
        )
    return replace(
        character,
        head=str(rng.choice(ANIMALS)),
        skin=vivid(rng, (0.1, 0.65), (0.3, 0.9)),
        hair_style="bald",
    )
