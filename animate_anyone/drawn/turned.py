"""Torsos that are seen from any direction: a body with a front, a back and a depth."""

from dataclasses import dataclass

import numpy as np

from .canvas import Canvas
from .characters import Character, Sides
from .cloth import cloth_of
from .colours import darker

DEPTH = 0.55  # of a torso, as a share of its width


@dataclass(frozen=True, kw_only=True)
class Torso:
    """The place of a torso in the picture, in pixels."""

    top: np.ndarray  # (2,), between the shoulders
    down: np.ndarray  # (2,), from there to the middle of the hips
    across: np.ndarray  # (2,), of length 1, to the right of the picture
    half: float  # half of the shoulders' width, seen from the front
    front: float  # cosine of its turn: 1 shows the chest, -1 the back
    profile: float  # sine of its turn; above 0 it faces the right of the picture
    scale: float  # pixels of the standing height

    @property
    def depth(self) -> float:
        """Return half of the torso's depth."""
        return DEPTH * self.half

    def wide(self, half: float, depth: float) -> float:
        """Return half of the visible width of something with this half width and half depth."""
        return float(np.hypot(half * self.front, depth * self.profile))

    def at(
        self,
        aside: float,  # pixels to the character's left
        ahead: float,  # pixels towards its front
        below: float,  # share of the torso's length
    ) -> np.ndarray:  # (2,)
        """Return a point of the body in the picture."""
        right = aside * self.front + ahead * self.profile
        return self.top + below * self.down + right * self.across


def torso_of(joints: np.ndarray, character: Character, yaw: float, scale: float) -> Torso:
    """Return where the torso is."""
    top, pelvis = joints[[2, 5]].mean(0), joints[[8, 11]].mean(0)
    down = pelvis - top
    length = max(float(np.hypot(*down)), 1e-6)
    return Torso(
        top=top,
        down=down,
        across=np.array([down[1], -down[0]]) / length,
        half=character.body.shoulders / 2 * scale,
        front=float(np.cos(yaw)),
        profile=float(np.sin(yaw)),
        scale=scale,
    )


def paint_torso(
    canvas: Canvas, character: Character, sides: Sides, torso: Torso, joints: np.ndarray
) -> None:
    """Paint hips, skirt, top, belt and badge."""
    wide = character.body.leg_width * torso.scale
    hips = character.body.hips / 2 * torso.scale
    waist = torso.wide(hips, 0.6 * hips) + 0.9 * wide
    low = [torso.top + torso.down + side * waist * torso.across for side in (-1, 1)]
    if character.bottom_style in ("skirt", "long_skirt"):
        canvas.polygon(_skirt(character, joints, low, 1.3 * wide), character.bottom)
    else:
        drop = torso.down * 0.12
        canvas.polygon(np.stack([*low, low[1] + drop, low[0] + drop]), character.bottom)
    shoulders = 1.12 * torso.wide(torso.half, torso.depth)
    _cloth(canvas, character, sides, torso, shoulders, waist)
    if character.belt:
        thick = 0.012 * torso.scale
        canvas.limb(low[0], low[1], (thick, thick), darker(character.bottom, 0.5))
    if sides.badge is not None:
        aside = sides.badge_side * 0.5 * torso.half
        nearness = torso.depth * torso.front - aside * torso.profile
        if nearness > 0.12 * torso.half:
            place = torso.at(aside, 0.9 * torso.depth, 0.28)
            canvas.disc(place, 0.2 * torso.half, sides.badge)


def _skirt(
    character: Character, joints: np.ndarray, low: list[np.ndarray], flare: float
) -> np.ndarray:  # (4, 2)
    """Return the outline of a skirt."""
    share = 0.75 if character.bottom_style == "skirt" else 1.6
    pelvis, knees, ankles = joints[[8, 11]], joints[[9, 12]], joints[[10, 13]]
    hem = pelvis + (knees - pelvis) * min(share, 1.0) + (ankles - knees) * max(share - 1, 0.0)
    aside = np.array([flare, 0.0])
    first, last = hem[np.argsort(hem[:, 0])]
    return np.stack([low[0], low[1], last + aside, first - aside])


def _cloth(
    canvas: Canvas,
    character: Character,
    sides: Sides,
    torso: Torso,
    shoulders: float,  # half of the visible width, pixels
    waist: float,
) -> None:
    """Paint the top: the visible part of its front, and of its back."""
    seam = np.clip(torso.half * torso.front / max(torso.wide(torso.half, torso.depth), 1e-6), -1, 1)
    # The seam that is visible is the character's right one if it faces the right.
    front = (-seam, 1.0) if torso.profile > 0 else (-1.0, seam)
    back = (-1.0, -seam) if torso.profile > 0 else (seam, 1.0)
    behind = (sides.back or character.top, sides.back_second, sides.back_pattern, sides.back_scale)
    before = (character.top, character.top_second, character.pattern, character.pattern_scale)
    reach = 1.2 * torso.half * max(abs(torso.front), 0.4)
    for (left, right), kind, ahead in ((back, behind, -1), (front, before, 1)):
        if right - left < 0.02:
            continue
        shares = np.array([left, *([0.0] if left < 0 < right else []), right])
        top = torso.top + shares[:, None] * shoulders * torso.across
        top[shares == 0] -= 0.06 * torso.down
        bottom = torso.top + torso.down + shares[::-1, None] * waist * torso.across
        middle = torso.at(0, ahead * torso.depth, 0)
        corner = middle - reach * torso.across
        corners = np.stack([corner, middle + reach * torso.across, corner + torso.down])
        canvas.textured(np.concatenate([top, bottom]), cloth_of(*kind), corners)


def paint_bag(canvas: Canvas, sides: Sides, torso: Torso) -> None:
    """Paint the bag on the back; from the front only its borders can be visible."""
    if sides.bag is None:
        return
    centre = torso.at(0, -1.5 * torso.depth, 0.0)
    half = torso.wide(0.78 * torso.half, 0.5 * torso.depth)
    left, right = centre - half * torso.across, centre + half * torso.across
    high, low = 0.08 * torso.down, 0.78 * torso.down
    canvas.polygon(np.stack([left + high, right + high, right + low, left + low]), sides.bag)
    if torso.front < 0:
        pocket = 0.45 * torso.down
        inner = [centre + side * 0.65 * half * torso.across for side in (-1, 1)]
        edge = 0.72 * torso.down
        corners = [inner[0] + pocket, inner[1] + pocket, inner[1] + edge, inner[0] + edge]
        canvas.polygon(np.stack(corners), darker(sides.bag))


def paint_straps(canvas: Canvas, sides: Sides, torso: Torso) -> None:
    """Paint the straps of the bag on the chest."""
    if sides.bag is None:
        return
    thick = 0.09 * torso.half
    for side in (-1, 1):
        aside = 0.62 * side * torso.half
        if torso.depth * torso.front - aside * torso.profile > 0.05 * torso.half:
            high, low = (torso.at(aside, 0.8 * torso.depth, below) for below in (-0.02, 0.6))
            canvas.limb(high, low, (thick, thick), darker(sides.bag))
