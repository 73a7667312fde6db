"""Figures that look less drawn: rounded limbs in cloth of any texture, under light from one side.

They have the bodies, angles and keypoints of the drawn characters.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np

from ....drawn.canvas import fill_disc, fill_limb, fill_polygon
from ....drawn.characters import SKINS, Character
from ....drawn.details import Part
from ....drawn.motions import RIGHT_ARM, RIGHT_LEG
from ....drawn.painting import Figure, Painting, head_axes
from ....types import Size
from .scenery import octaves, palette, texture, tinted

SHIFT = 3  # fractional bits of cv2 coordinates


@dataclass(frozen=True)
class _Clothes:
    """What a figure wears; widths are relative to the bare limb."""

    layers: dict[str, np.ndarray]  # (H, W, 3) per material: skin, top, bottom, shoes, hair
    sleeve: float  # covered share of the arm, 0..1
    trouser: float  # covered share of the leg, 0..1
    loose: float  # width of sleeves
    wide: float  # width of trousers
    hem: float  # length of skirt or coat, shares of thigh and shin: 0 none, 1 knee, 2 ankle
    flare: float  # width of the hem relative to the hips
    hair: float  # length, radii of the head; below 0: bald
    hat: bool


class Painter:
    """Paints parts of a body one over the other."""

    def __init__(
        self,
        background: np.ndarray,  # (H, W, 3), uint8
        light: np.ndarray,  # (2,): the direction it comes from
        depth: float,  # how much edges are shaded, 0..1
    ) -> None:
        """Start from a copy of the background."""
        self.picture = background.copy()
        self.mask = np.zeros(background.shape[:2], np.uint8)
        self._light, self._depth = light, depth

    def blank(self) -> np.ndarray:
        """Return an empty mask for a part."""
        return np.zeros_like(self.mask)

    def fill(self, part: np.ndarray, layer: np.ndarray, width: float) -> None:
        """Paint a part of this width with a material, rounded off towards its edge."""
        left, top, across, down = cv2.boundingRect(part)
        if across == 0:
            return
        box = np.s_[top : top + down, left : left + across]
        cover = part[box].astype(np.float32) / 255
        soft = cv2.GaussianBlur(cover, (0, 0), max(0.6, width / 2), borderType=cv2.BORDER_CONSTANT)
        slope = self._light[0] * cv2.Sobel(soft, cv2.CV_32F, 1, 0, scale=width / 8)
        slope += self._light[1] * cv2.Sobel(soft, cv2.CV_32F, 0, 1, scale=width / 8)
        shade = 1 + self._depth * (slope + 0.7 * (soft - 0.8))
        painted = layer[box] * np.clip(shade, 0.25, 1.7)[..., None]
        alpha = cover[..., None]
        mixed = self.picture[box] * (1 - alpha) + np.clip(painted, 0, 255) * alpha
        self.picture[box] = mixed.astype(np.uint8)
        np.maximum(self.mask, part, out=self.mask)


def paint_mannequin(
    rng: np.random.Generator, character: Character, angles: dict[str, float], size: Size
) -> Painting:
    """Return a figure with the body and place of a character, dressed anew."""
    figure = with_soles(Figure.of(character, angles, size), rng, size)
    clothes = _dressed(rng, size)
    turn = rng.uniform(0, 2 * np.pi)
    light = np.array([np.cos(turn), np.sin(turn)])
    grey = np.full((size.height, size.width, 3), int(rng.integers(256)), np.uint8)
    painter = Painter(grey, light, float(rng.uniform(0.1, 1.0)))
    joints, details = figure.joints, figure.details
    behind, before = figure.arms()
    back = np.cos(angles["yaw"]) < 0
    body = character.body
    widths = body.arm_width * figure.scale, body.leg_width * figure.scale
    radius = body.head * figure.scale
    if not back:
        _long_hair(painter, clothes, joints, radius)
    for arm in behind:
        _arm(painter, clothes, joints, arm, widths[0], details)
    for leg in figure.legs():
        _leg(painter, clothes, joints, leg, widths[1], details)
    _torso(painter, clothes, joints, widths)
    _head(rng, painter, clothes, joints, figure.seen, radius, back=bool(back))
    if back:
        _long_hair(painter, clothes, joints, radius)
    for arm in before:
        _arm(painter, clothes, joints, arm, widths[0], details)
    return figure.painted(painter.picture, painter.mask)


def with_soles(
    figure: Figure,
    rng: np.random.Generator,
    size: Size,
    higher: tuple[float, float] = (1.2, 3.1),  # than the ankles of drawn characters, times
) -> Figure:
    """Return the figure with feet as long and high as those of people, in shoes of any height.

    Drawn characters have their ankles near the ground.
    """
    feet = figure.details["feet"]
    ankles = figure.joints[[13, 13, 13, 10, 10, 10]]
    steps = (feet.xy - ankles) * [rng.uniform(1.3, 3.2), rng.uniform(*higher)]
    steps[[2, 5], 1] = rng.uniform(0.55, 1.0) * steps[[0, 3], 1]  # heels
    xy = ankles + steps
    inside = np.asarray(((xy >= 0) & (xy < [size.width, size.height])).all(1))
    return replace(figure, details={**figure.details, "feet": Part(xy, inside)})


def _dressed(rng: np.random.Generator, size: Size) -> _Clothes:
    """Return random clothes."""
    skin = np.array(SKINS[rng.integers(len(SKINS))], np.float32) + rng.normal(0, 10, 3)
    layers = {"skin": cloth(rng, size, skin, 0.2), "hair": _hair_layer(rng, size)}
    for name in ("top", "bottom", "shoes"):
        colour = palette(rng, 1)[0]
        if rng.random() < 0.3:
            colour = np.full(3, rng.choice([15.0, 40.0, 90.0, 225.0]), np.float32)
        plain = rng.random() < 0.7
        layers[name] = cloth(rng, size, colour, 0.6) if plain else texture(rng, size)
    if rng.random() < 0.15:
        layers["bottom"] = layers["top"]
    return _Clothes(
        layers=layers,
        sleeve=float(rng.choice([0.0, 0.45, 1.0], p=[0.2, 0.3, 0.5])),
        trouser=float(rng.choice([0.0, 0.4, 1.0], p=[0.15, 0.2, 0.65])),
        loose=float(rng.uniform(1.0, 1.9)),
        wide=float(rng.uniform(1.0, 1.8)),
        hem=0.0 if rng.random() < 0.6 else float(rng.uniform(0.3, 1.8)),
        flare=float(rng.uniform(0.9, 2.2)),
        hair=float(rng.choice([-1.0, 0.0, 0.8, 2.0], p=[0.1, 0.5, 0.2, 0.2])),
        hat=bool(rng.random() < 0.12),
    )


def cloth(
    rng: np.random.Generator,
    size: Size,
    colour: np.ndarray,  # (3,), RGB 0..255
    contrast: float,  # largest
) -> np.ndarray:
    spread = rng.uniform(0, contrast)
    shades = np.clip(colour * np.array([[1 - spread], [1 + 0.5 * spread]]), 0, 255)
    return tinted(octaves(rng, size, float(rng.uniform(0.1, 1.3))), shades)


def _hair_layer(rng: np.random.Generator, size: Size) -> np.ndarray:
    brown = np.array([70.0, 45.0, 30.0]) * rng.uniform(0.2, 2.6)
    return cloth(rng, size, brown + rng.normal(0, 12, 3), 0.5)


def tapered(
    mask: np.ndarray, start: np.ndarray, end: np.ndarray, first: float, last: float
) -> None:
    """Fill a limb with round ends and these radii, in place."""
    fill_limb((mask,), start, end, (first, last), (255,), SHIFT)


def polygon(mask: np.ndarray, points: np.ndarray) -> None:
    fill_polygon((mask,), points, (255,), SHIFT)


def disc(mask: np.ndarray, centre: np.ndarray, radius: float) -> None:
    fill_disc((mask,), centre, radius, (255,), SHIFT)


def _limb(
    painter: Painter,
    points: np.ndarray,  # (3, 2): root, middle joint, end
    radii: tuple[float, float, float],
    bare: np.ndarray,  # layer
    cover: np.ndarray,  # layer
    covered: float,  # share of the limb, 0..1
    loose: float,
) -> None:
    """Paint an arm or a leg: skin, then the sleeve or trouser leg."""
    root, middle, end = points
    for (a, b), (first, last) in (
        ((root, middle), (radii[0], radii[1] * 1.05)),
        ((middle, end), (radii[1] * 1.08, radii[2])),
    ):
        part = painter.blank()
        tapered(part, a, b, first, last)
        painter.fill(part, bare, radii[1] * 2)
    if covered <= 0:
        return
    part = painter.blank()
    upper = root + (middle - root) * min(1.0, 2 * covered)
    tapered(part, root, upper, radii[0] * (1 + 0.5 * (loose - 1)), radii[1] * loose)
    if covered > 0.5:
        painter.fill(part, cover, radii[1] * 2)
        part = painter.blank()
        low = middle + (end - middle) * min(1.0, 2 * covered - 1) * 0.95
        tapered(part, middle, low, radii[1] * loose, radii[2] * loose)
    painter.fill(part, cover, radii[1] * 2)


def _arm(
    painter: Painter,
    clothes: _Clothes,
    joints: np.ndarray,
    arm: tuple[int, ...],
    width: float,
    details: dict[str, Part],
) -> None:
    layers = clothes.layers
    hand = details["right_hand" if arm == RIGHT_ARM else "left_hand"].xy
    part = painter.blank()
    for finger in hand[1:].reshape(5, 4, 2):
        tapered(part, finger[0], finger[3], width * 0.26, width * 0.22)
    tapered(part, hand[0], hand[9], width * 0.6, width * 0.6)
    radii = (width * 1.1, width * 0.85, width * 0.6)
    points, skin, top = joints[list(arm)], layers["skin"], layers["top"]
    painter.fill(part, skin, width)
    _limb(painter, points, radii, skin, top, clothes.sleeve, clothes.loose)


def _leg(
    painter: Painter,
    clothes: _Clothes,
    joints: np.ndarray,
    leg: tuple[int, ...],
    width: float,
    details: dict[str, Part],
) -> None:
    layers = clothes.layers
    points = joints[list(leg)]
    radii = (width * 1.25, width * 0.8, width * 0.5)
    skin, bottom = layers["skin"], layers["bottom"]
    _limb(painter, points, radii, skin, bottom, clothes.trouser, clothes.wide)
    toes = details["feet"].xy[[3, 5] if leg == RIGHT_LEG else [0, 2]]
    part = painter.blank()
    tapered(part, toes[1], toes[0], width * 0.5, width * 0.45)
    tapered(part, points[2], toes[0], width * 0.5, width * 0.4)
    painter.fill(part, layers["shoes"], width)


def _torso(
    painter: Painter,
    clothes: _Clothes,
    joints: np.ndarray,
    widths: tuple[float, float],  # of arms and legs, pixels
) -> None:
    right, left, right_hip, left_hip = (joints[j] for j in (2, 5, 8, 11))
    neck, low = (right + left) / 2, (right_hip + left_hip) / 2
    arm, leg = widths
    hips = painter.blank()
    tapered(hips, right_hip, left_hip, leg * 1.25, leg * 1.25)
    painter.fill(hips, clothes.layers["bottom"], leg * 3)
    torso = painter.blank()
    ends = [(right, right_hip), (left, left_hip), (right, left_hip), (left, right_hip)]
    for shoulder, hip in ends:
        tapered(torso, shoulder, hip + (neck - hip) * 0.12, arm * 1.05, leg * 1.05)
    tapered(torso, right, left, arm * 1.05, arm * 1.05)
    tapered(torso, neck, low, (arm + leg), leg)
    painter.fill(torso, clothes.layers["top"], 0.6 * max(1.0, float(np.hypot(*(left - right)))))
    if clothes.hem > 0:
        knees, ankles = joints[[9, 12]], joints[[10, 13]]
        pelvis = np.stack([right_hip, left_hip])
        hem = pelvis + (knees - pelvis) * min(clothes.hem, 1.0)
        hem = hem + (ankles - knees) * max(clothes.hem - 1, 0.0)
        side = np.sign(left_hip[0] - right_hip[0]) or 1.0
        flare = np.array([[-side, 0.0], [side, 0.0]]) * leg * clothes.flare
        waist = pelvis + (neck - low) * 0.25 + flare * 0.6
        skirt = painter.blank()
        polygon(skirt, np.stack([waist[0], waist[1], hem[1] + flare[1], hem[0] + flare[0]]))
        layer = clothes.layers["bottom" if clothes.hem > 0.7 else "top"]
        painter.fill(skirt, layer, 4 * leg)


def _long_hair(painter: Painter, clothes: _Clothes, joints: np.ndarray, radius: float) -> None:
    if clothes.hair <= 0:
        return
    head, up, _ = head_axes(joints)
    part = painter.blank()
    tapered(part, head, head - up * radius * (0.5 + clothes.hair), radius * 0.98, radius * 0.8)
    painter.fill(part, clothes.layers["hair"], radius)


def _head(
    rng: np.random.Generator,
    painter: Painter,
    clothes: _Clothes,
    joints: np.ndarray,
    seen: np.ndarray,
    radius: float,
    *,
    back: bool,
) -> None:
    head, up, across = head_axes(joints)
    layers = clothes.layers
    neck = painter.blank()
    tapered(neck, joints[1], head, radius * 0.55, radius * 0.5)
    painter.fill(neck, layers["skin"], radius)
    tilt = float(np.degrees(np.arctan2(up[1], up[0])))
    face = painter.blank()
    slim = float(rng.uniform(0.72, 0.95))
    ellipse(face, head, (radius, radius * slim), tilt)
    painter.fill(face, layers["skin"], radius * 1.5)
    facing = (joints[0] - head) @ across / max(radius, 1e-6)
    if back or clothes.hair >= 0:
        cap = painter.blank()
        centre = head + up * radius * (0.1 if back else 0.42) - across * facing * radius * 0.45
        tall = 1.0 if back else float(rng.uniform(0.6, 0.75))
        ellipse(cap, centre, (radius * tall, radius * slim * 1.08), tilt)
        layer = "skin" if back and clothes.hair < 0 else "hair"
        painter.fill(cap, layers[layer], radius)
    if not back:
        _face(rng, painter, clothes, joints, seen, radius, (up, across))
    if clothes.hat:
        brim = painter.blank()
        middle = head + up * radius * 0.5
        reach = across * radius * float(rng.uniform(0.8, 1.6))
        tapered(brim, middle - reach, middle + reach, radius * 0.15, radius * 0.15)
        tapered(brim, middle, middle + up * radius * 0.5, radius * 0.75, radius * 0.6)
        painter.fill(brim, layers["shoes"], radius)


def _face(
    rng: np.random.Generator,
    painter: Painter,
    clothes: _Clothes,
    joints: np.ndarray,
    seen: np.ndarray,
    radius: float,
    axes: tuple[np.ndarray, np.ndarray],  # up, across
) -> None:
    """Paint eyes, brows, nose and mouth, faintly."""
    up, across = axes
    layers = clothes.layers
    dark = (layers["skin"] * float(rng.uniform(0.15, 0.7))).astype(np.uint8)
    marks = painter.blank()
    for eye in (14, 15):
        if seen[eye]:
            disc(marks, joints[eye], radius * float(rng.uniform(0.07, 0.14)))
            brow = joints[eye] + up * radius * 0.25
            reach = across * radius * 0.16
            tapered(marks, brow - reach, brow + reach, radius * 0.04, radius * 0.04)
    mouth = joints[0] - up * radius * 0.42
    reach = across * radius * 0.2
    tapered(marks, mouth - reach, mouth + reach, radius * 0.05, radius * 0.05)
    disc(marks, joints[0] - up * radius * 0.06, radius * 0.08)
    painter.fill(marks, dark, radius)


def ellipse(
    mask: np.ndarray, centre: np.ndarray, radii: tuple[float, float], degrees: float
) -> None:
    at = (round(centre[0] * (1 << SHIFT)), round(centre[1] * (1 << SHIFT)))
    reach = tuple(max(1, round(radius * (1 << SHIFT))) for radius in radii)
    cv2.ellipse(mask, at, reach, degrees, 0, 360, 255, cv2.FILLED, cv2.LINE_AA, SHIFT)
