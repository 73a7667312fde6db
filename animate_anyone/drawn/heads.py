"""Heads that turn: of people, cartoon characters, robots and animals."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .canvas import Canvas
from .characters import Character
from .colours import Colour, darker, lighter

CARTOON, ROBOT = "cartoon", "robot"
ANIMALS = ("cat", "bear", "rabbit")
HATLESS = ("bald", "hat")
MOUTH: Colour = (150, 50, 50)
DARK: Colour = (35, 32, 40)


@dataclass(frozen=True, kw_only=True)
class Head:
    """The place of a head in the picture, in pixels."""

    joints: np.ndarray  # (18, 2)
    seen: np.ndarray  # (18,), bool
    centre: np.ndarray  # (2,)
    up: np.ndarray  # (2,), of length 1
    across: np.ndarray  # (2,), of length 1, to the right of the picture
    radius: float
    front: float  # cosine of its turn: 1 shows the face, -1 the back
    profile: float  # sine of its turn; above 0 it faces the right of the picture

    def at(self, aside: float, above: float) -> np.ndarray:  # (2,)
        """Return a point by its distances from the centre, in radii."""
        return self.centre + self.radius * (aside * self.across + above * self.up)


def paint_head(canvas: Canvas, character: Character, head: Head) -> None:
    """Paint a head from any direction, without a neck."""
    HEADS[character.head](canvas, character, head)


def _person(canvas: Canvas, character: Character, head: Head) -> None:
    radius, cartoon = head.radius, character.head == CARTOON
    if character.hair_style not in HATLESS:
        canvas.disc(head.at(0, 0.22), radius * 1.08, character.hair)
    canvas.disc(head.centre, radius * 0.97, character.skin)
    if cartoon:
        _large_eyes(canvas, character, head)
    else:
        _eyes(canvas, head, (250, 250, 250), 0.2, character.eyes, 0.12)
    if head.front > 0.15:
        nose = head.joints[0]
        if not cartoon:
            canvas.disc(nose - 0.05 * radius * head.up, radius * 0.09, darker(character.skin, 0.8))
        mouth = nose - head.up * radius * (0.36 if cartoon else 0.42)
        reach = head.across * radius * head.front * (0.14 if cartoon else 0.22)
        canvas.limb(mouth - reach, mouth + reach, (radius * 0.06, radius * 0.06), MOUTH)
    _hair(canvas, character, head)


def _eyes(
    canvas: Canvas, head: Head, white: Colour, outer: float, iris: Colour, inner: float
) -> None:
    """Paint the visible eyes as two discs each; radii are shares of the head's."""
    for eye in (14, 15):
        if head.seen[eye] and _shows(head, eye):
            canvas.disc(head.joints[eye], head.radius * outer, white)
            canvas.disc(head.joints[eye], head.radius * inner, iris)


def _shows(head: Head, eye: int) -> bool:
    """Return whether an eye is clearly on the near side of the head."""
    aside = float((head.joints[eye] - head.centre) @ head.across)
    return head.front > -0.2 and abs(aside) < 0.93 * head.radius


def _large_eyes(canvas: Canvas, character: Character, head: Head) -> None:
    radius = head.radius
    for eye, side in ((14, -1), (15, 1)):
        if not (head.seen[eye] and _shows(head, eye)):
            continue
        middle = head.joints[eye] - 0.12 * radius * head.up
        ends = middle - 0.1 * radius * head.up, middle + 0.1 * radius * head.up
        canvas.limb(*ends, (radius * 0.22, radius * 0.22), (250, 250, 250))
        canvas.limb(*ends, (radius * 0.17, radius * 0.17), character.eyes)
        canvas.disc(middle, radius * 0.09, DARK)
        canvas.disc(middle + 0.1 * radius * (head.up - head.across), radius * 0.06, (255, 255, 255))
        blush = middle - 0.42 * radius * head.up + 0.1 * side * radius * head.across * head.front
        canvas.disc(blush, radius * 0.1, _blush(character.skin))


def _blush(skin: Colour) -> Colour:
    return min(skin[0] + 25, 255), int(skin[1] * 0.8), int(skin[2] * 0.8)


def _hair(canvas: Canvas, character: Character, head: Head) -> None:
    """Paint the hair on the far half of the head, which turns into view, and on top."""
    style = character.hair_style
    if style == "bald":
        return
    hair = darker(character.hair, 0.6) if style == "hat" else character.hair
    back = _far_half(head, reach=1.02)
    if back is not None:
        canvas.polygon(back, hair)
    arc, low = np.linspace(-1.25, 1.25, 9), 0.3 if style == "hat" else 0.38
    shift = -0.2 * np.clip(head.profile, -1, 1)
    top = np.stack([head.at(shift + 1.05 * np.sin(a), 1.05 * np.cos(a)) for a in arc])
    edge = np.stack([head.at(0.85 + shift, low), head.at(shift - 0.85, low)])
    canvas.polygon(np.concatenate([top, edge]), character.hair)
    if style == "bun":
        canvas.disc(head.at(-0.5 * head.profile, 1.25), head.radius * 0.45, character.hair)
    if style == "hat":
        ends = head.at(shift - 1.35, low), head.at(shift + 1.35, low)
        thick = head.radius * 0.14
        canvas.limb(*ends, (thick, thick), darker(character.hair))


def _far_half(head: Head, reach: float) -> np.ndarray | None:  # (n, 2)
    """Return the outline of the visible part of the head's far half, like a phase of the moon."""
    if head.front > 0.98:
        return None
    side = -1.0 if head.profile > 0 else 1.0
    turn = np.linspace(-np.pi / 2, np.pi / 2, 13)
    rim = [head.at(side * reach * np.cos(a), reach * np.sin(a)) for a in turn]
    # The border between the halves, moved a little towards the back so that a cheek stays free.
    wide = np.clip(head.front + 0.15, -1, 1)
    border = [head.at(side * wide * reach * np.cos(a), reach * np.sin(a)) for a in turn[::-1]]
    return np.stack(rim + border)


def _robot(canvas: Canvas, character: Character, head: Head) -> None:
    metal, dark = character.skin, darker(character.skin, 0.55)
    thin = head.radius * 0.07
    canvas.limb(head.at(0, 0.8), head.at(0, 1.45), (thin, thin), dark)
    canvas.disc(head.at(0, 1.45), head.radius * 0.17, character.eyes)
    for side in (-1, 1):
        canvas.disc(head.at(side * (0.6 + 0.4 * abs(head.front)), 0.05), head.radius * 0.22, dark)
    canvas.polygon(_block(head, 0.0, 0.9, -0.9, 0.9), metal)
    middle = 0.5 * head.profile
    if head.front > 0.15:
        wide = 0.72 * head.front
        canvas.polygon(_block(head, middle, wide, -0.08, 0.46), DARK)
        _eyes(canvas, head, character.eyes, 0.17, (255, 255, 255), 0.06)
        for row in (-0.42, -0.6):
            canvas.polygon(_block(head, middle, 0.6 * wide, row - 0.05, row + 0.05), dark)
    elif head.front < -0.15:
        wide = 0.5 * -head.front
        canvas.polygon(_block(head, -middle, wide, -0.5, 0.4), dark)
        canvas.disc(head.at(-middle, -0.05), head.radius * 0.16, character.eyes)


def _block(head: Head, middle: float, half: float, low: float, high: float) -> np.ndarray:
    """Return a rectangle on the head, (4, 2), by its borders in radii."""
    left, right = middle - half, middle + half
    return np.stack(
        [head.at(*at) for at in ((left, low), (right, low), (right, high), (left, high))]
    )


def _animal(canvas: Canvas, character: Character, head: Head) -> None:
    radius, fur = head.radius, character.skin
    _ears(canvas, character, head)
    canvas.disc(head.centre, radius, fur)
    if head.front < -0.2:
        return
    nose = head.joints[0]
    muzzle = nose - 0.2 * radius * head.up
    canvas.disc(muzzle, radius * 0.42, lighter(fur, 0.55))
    _eyes(canvas, head, (250, 250, 250), 0.17, character.eyes, 0.13)
    canvas.disc(nose - 0.02 * radius * head.up, radius * 0.13, DARK)
    low = muzzle - 0.2 * radius * head.up
    reach = head.across * radius * 0.16 * max(head.front, 0)
    canvas.limb(low - reach, low + reach, (radius * 0.05, radius * 0.05), DARK)


def _ears(canvas: Canvas, character: Character, head: Head) -> None:
    radius, fur = head.radius, character.skin
    inner = (225, 150, 150) if head.front > 0 else darker(fur, 0.85)
    for side in (-1, 1):
        aside = side * head.front
        if character.head == "bear":
            canvas.disc(head.at(0.72 * aside, 0.78), radius * 0.34, fur)
            canvas.disc(head.at(0.72 * aside, 0.78), radius * 0.18, inner)
        elif character.head == "rabbit":
            ends = head.at(0.38 * aside, 0.8), head.at(0.5 * aside, 1.65)
            canvas.limb(*ends, (radius * 0.24, radius * 0.2), fur)
            canvas.limb(*ends, (radius * 0.12, radius * 0.1), inner)
        else:
            base, tip = 0.62 * aside, 0.82 * aside
            for size, colour in ((1.0, fur), (0.55, inner)):
                corners = ((base - 0.36 * size, 0.62), (base + 0.36 * size, 0.62))
                corners = (*corners, (tip, 0.62 + 0.78 * size))
                canvas.polygon(np.stack([head.at(*at) for at in corners]), colour)


Painter = Callable[[Canvas, Character, Head], None]
HEADS: dict[str, Painter] = {
    "person": _person,
    CARTOON: _person,
    ROBOT: _robot,
    **dict.fromkeys(ANIMALS, _animal),
}
