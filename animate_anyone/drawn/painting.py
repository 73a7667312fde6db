"""Painting a character in a pose: picture, silhouette and joints."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ..types import Size
from .canvas import Canvas
from .characters import Character, Sides
from .cloth import cloth_of
from .colours import darker
from .details import Part, details_of
from .heads import Head, paint_head
from .motions import LEFT_ARM, LEFT_LEG, RIGHT_ARM, RIGHT_LEG, joints_of, turn_of
from .turned import paint_bag, paint_straps, paint_torso, torso_of


@dataclass(frozen=True)
class Painting:
    """One frame of a character."""

    picture: np.ndarray  # (H, W, 3), uint8 RGB
    mask: np.ndarray  # (H, W), uint8, 255 where the figure is
    joints: np.ndarray  # (18, 2), pixels
    visible: np.ndarray  # (18,), bool: on the canvas and not behind the head
    details: dict[str, Part]  # hands, face and feet, in pixels, by the names of PoseClip


def paint(character: Character, angles: dict[str, float], size: Size) -> Painting:
    """Return the picture, silhouette and keypoints of a character in a pose."""
    figure = Figure.of(character, angles, size)
    canvas = Canvas(background_of(character, size))
    if character.sides is None:
        _paint_front(canvas, figure)
    else:
        _paint_turned(canvas, figure, character.sides)
    return figure.painted(canvas.picture, canvas.mask)


@dataclass(frozen=True)
class Figure:
    """A character in a pose, in pixels."""

    character: Character
    angles: dict[str, float]
    joints: np.ndarray  # (18, 2)
    depth: np.ndarray  # (18,), towards the viewer, in heights
    seen: np.ndarray  # (18,), bool: not behind the head
    visible: np.ndarray  # (18,), bool: seen, and on the canvas
    details: dict[str, Part]
    scale: float  # pixels of the standing height

    @staticmethod
    def of(character: Character, angles: dict[str, float], size: Size) -> "Figure":
        """Return a character in a pose, at its place on a canvas of this size."""
        xyz, seen = joints_of(character.body, angles)
        scale = character.height * size.height
        origin = np.array([character.centre * size.width, character.ground * size.height])
        details = {
            name: _on_canvas(Part(part.xy * scale + origin, part.visible), size)
            for name, part in details_of(character.body, angles, xyz).items()
        }
        body = _on_canvas(Part(xyz[:, :2] * scale + origin, seen), size)
        return Figure(character, angles, body.xy, xyz[:, 2], seen, body.visible, details, scale)

    def painted(
        self,
        picture: np.ndarray,  # (H, W, 3), uint8 RGB
        mask: np.ndarray,  # (H, W), uint8
    ) -> Painting:
        """Return a picture and silhouette of this figure with its keypoints."""
        return Painting(picture, mask, self.joints, self.visible, self.details)

    def arms(self) -> tuple[list[tuple[int, ...]], list[tuple[int, ...]]]:
        """Return the arms behind the body, and those before it, the farther first."""
        depth = self.depth
        arms = sorted((RIGHT_ARM, LEFT_ARM), key=lambda arm: depth[list(arm)].mean())
        behind = [arm for arm in arms if depth[arm[1]] + depth[arm[2]] < -0.06]
        return behind, [arm for arm in arms if arm not in behind]

    def legs(self) -> list[tuple[int, ...]]:
        """Return the legs, the farther first."""
        return sorted((RIGHT_LEG, LEFT_LEG), key=lambda leg: self.depth[leg[2]])


def _paint_front(canvas: Canvas, figure: Figure) -> None:
    """Paint a figure without sides, as it looks from the front."""
    character, joints, scale = figure.character, figure.joints, figure.scale
    behind, before = figure.arms()
    _hair_behind(canvas, character, joints, scale)
    for arm in behind:
        _arm(canvas, figure, arm)
    for leg in figure.legs():
        _leg(canvas, figure, leg)
    _torso(canvas, character, joints, scale)
    if character.head == "person":
        _head(canvas, character, joints, figure.seen, figure.angles, scale)
    else:
        _turned_head(canvas, figure)
    for arm in before:
        _arm(canvas, figure, arm)


def _paint_turned(canvas: Canvas, figure: Figure, sides: Sides) -> None:
    """Paint a figure that is seen from any direction."""
    character, joints, scale = figure.character, figure.joints, figure.scale
    torso = torso_of(joints, character, figure.angles["yaw"], scale)
    from_behind = torso.front < 0
    behind, before = figure.arms()
    if not from_behind:
        paint_bag(canvas, sides, torso)
        _hair_behind(canvas, character, joints, scale)
    for arm in behind:
        _arm(canvas, figure, arm)
    for leg in figure.legs():
        _leg(canvas, figure, leg)
    paint_torso(canvas, character, sides, torso, joints)
    paint_straps(canvas, sides, torso)
    if from_behind:
        paint_bag(canvas, sides, torso)
    _turned_head(canvas, figure)
    if from_behind:
        _hair_behind(canvas, character, joints, scale)
    for arm in before:
        _arm(canvas, figure, arm)


def _turned_head(canvas: Canvas, figure: Figure) -> None:
    """Paint neck and head as they look from any direction."""
    character, joints = figure.character, figure.joints
    radius = character.body.head * figure.scale
    centre, up, across = head_axes(joints)
    neck = darker(character.skin, 0.88)
    canvas.limb(joints[1], centre, (radius * 0.38, radius * 0.4), neck)
    facing = figure.angles["yaw"] + figure.angles["head_yaw"]
    head = Head(
        joints=joints,
        seen=figure.seen,
        centre=centre,
        up=up,
        across=across,
        radius=radius,
        front=float(np.cos(facing)),
        profile=float(np.sin(facing)),
    )
    paint_head(canvas, character, head)


def _on_canvas(part: Part, size: Size) -> Part:
    """Return the part with points beyond the borders marked as hidden."""
    inside = ((part.xy >= 0) & (part.xy < [size.width, size.height])).all(1)
    return Part(part.xy, part.visible & inside)


def _arm(canvas: Canvas, figure: Figure, arm: tuple[int, ...]) -> None:
    character, joints, scale = figure.character, figure.joints, figure.scale
    side = -1 if arm == RIGHT_ARM else 1
    shoulder, elbow, wrist = (joints[j] for j in arm)
    wide = character.body.arm_width * scale
    middle, narrow = wide * 0.85, wide * 0.7
    edge = max(0.012 * scale, 0.7)
    outline = darker(character.top if character.sleeve >= 1 else character.skin)
    canvas.limb(elbow, wrist, (middle + edge, narrow + edge), outline)
    canvas.limb(shoulder, elbow, (wide, middle + edge), outline)
    canvas.limb(shoulder, elbow, (wide, middle), character.skin)
    canvas.limb(elbow, wrist, (middle, narrow), character.skin)
    canvas.disc(wrist + (wrist - elbow) * 0.12, narrow * 1.15, character.skin)
    hand = figure.details["right_hand" if arm == RIGHT_ARM else "left_hand"].xy
    for finger in hand[1:].reshape(5, 4, 2):
        canvas.limb(finger[0], finger[3], (narrow * 0.4, narrow * 0.35), character.skin)
    if character.sleeve > 0:
        upper = min(character.sleeve * 2, 1.0)
        cuff = shoulder + (elbow - shoulder) * upper
        canvas.limb(shoulder, cuff, (wide * 1.12, middle * 1.15), character.top)
    if character.sleeve > 0.5:
        cuff = elbow + (wrist - elbow) * min((character.sleeve - 0.5) * 1.8, 1.0)
        canvas.limb(elbow, cuff, (middle * 1.15, narrow * 1.2), character.top)
    sides = character.sides
    if sides is not None and sides.band is not None and sides.band_side == side:
        first, last = (shoulder + (elbow - shoulder) * share for share in (0.45, 0.7))
        canvas.limb(first, last, (wide * 1.15, middle * 1.25), sides.band)


def _leg(canvas: Canvas, figure: Figure, leg: tuple[int, ...]) -> None:
    character, joints, scale = figure.character, figure.joints, figure.scale
    hip, knee, ankle = (joints[j] for j in leg)
    wide = character.body.leg_width * scale
    middle, narrow = wide * 0.75, wide * 0.55
    front, profile = turn_of(figure.angles["yaw"])
    outwards = -front if leg == RIGHT_LEG else front
    toe = ankle + np.array([outwards * 0.018 + profile * 0.022, 0.022]) * scale
    canvas.limb(hip, knee, (wide, middle), character.skin)
    canvas.limb(knee, ankle, (middle, narrow), character.skin)
    if character.socks:
        canvas.limb(
            knee + (ankle - knee) * 0.6, ankle, (narrow * 1.15, narrow * 1.15), (240, 240, 235)
        )
    if character.bottom_style in ("trousers", "striped"):
        canvas.limb(hip, knee, (wide * 1.1, middle * 1.15), character.bottom)
        canvas.limb(knee, ankle, (middle * 1.15, narrow * 1.3), character.bottom)
        if character.bottom_style == "striped":
            side = np.array([outwards * middle * 0.5, 0])
            stripe = max(wide * 0.22, 0.8)
            canvas.limb(hip + side, knee + side, (stripe, stripe), character.bottom_second)
            canvas.limb(knee + side, ankle, (stripe, stripe), character.bottom_second)
    elif character.bottom_style == "shorts":
        hem = hip + (knee - hip) * 0.65
        canvas.limb(hip, hem, (wide * 1.15, middle * 1.35), character.bottom)
    canvas.limb(ankle, toe, (narrow * 1.1, narrow), character.shoes)


def _torso(canvas: Canvas, character: Character, joints: np.ndarray, scale: float) -> None:
    wide = character.body.leg_width * scale
    right, left, right_hip, left_hip = (joints[j] for j in (2, 5, 8, 11))
    down = (right_hip + left_hip - right - left) / 2
    pelvis = np.stack([right_hip, left_hip])
    middle = pelvis.mean(0)
    spread = pelvis - middle
    spread *= 1 + 0.9 * wide / max(float(np.hypot(*spread[0])), 0.5 * wide)
    waist = middle + spread
    if character.bottom_style in ("skirt", "long_skirt"):
        knees, ankles = joints[[9, 12]], joints[[10, 13]]
        share = 0.75 if character.bottom_style == "skirt" else 1.6
        hem = pelvis + (knees - pelvis) * min(share, 1.0) + (ankles - knees) * max(share - 1, 0.0)
        flare = np.array([[-1.3 * wide, 0], [1.3 * wide, 0]]) * np.sign(spread[1, 0] or 1.0)
        ring = np.stack([waist[0], waist[1], hem[1] + flare[1], hem[0] + flare[0]])
        canvas.polygon(ring, character.bottom)
    else:
        low = waist + down * 0.12
        canvas.polygon(np.stack([waist[0], waist[1], low[1], low[0]]), character.bottom)
    collar = down * -0.06
    across = (left - right) * 0.1
    outline = np.stack(
        [right - across * 0.6, (right + left) / 2 + collar, left + across * 0.6, *waist[::-1]]
    )
    tile = cloth_of(character.top, character.top_second, character.pattern, character.pattern_scale)
    corners = np.stack([right - across, left + across, right_hip - across])
    canvas.textured(outline, tile, corners)
    if character.belt:
        canvas.limb(
            waist[0], waist[1], (0.012 * scale, 0.012 * scale), darker(character.bottom, 0.5)
        )


def _hair_behind(canvas: Canvas, character: Character, joints: np.ndarray, scale: float) -> None:
    if character.hair_style not in ("long", "ponytail", "bob"):
        return
    radius = character.body.head * scale
    head = _head_centre(joints)
    low = (
        joints[1]
        + (joints[1] - head) * {"long": 0.55, "ponytail": 0.3, "bob": -0.1}[character.hair_style]
    )
    width = radius * {"long": 1.0, "ponytail": 0.45, "bob": 1.05}[character.hair_style]
    canvas.limb(head, low, (radius * 1.1, width), darker(character.hair, 0.85))


def head_axes(
    joints: np.ndarray,  # (18, 2), pixels
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # (2,) each
    """Return the head's centre, and the directions up and to the right in the picture."""
    centre = _head_centre(joints)
    up = centre - joints[1]
    up = up / max(float(np.hypot(*up)), 1e-6)
    return centre, up, np.array([-up[1], up[0]])


def _head_centre(joints: np.ndarray) -> np.ndarray:
    return joints[[16, 17]].mean(0)


def _head(
    canvas: Canvas,
    character: Character,
    joints: np.ndarray,
    seen: np.ndarray,
    angles: dict[str, float],
    scale: float,
) -> None:
    radius = character.body.head * scale
    head = _head_centre(joints)
    up = head - joints[1]
    up = up / max(float(np.hypot(*up)), 1e-6)
    across = np.array([-up[1], up[0]])
    canvas.limb(joints[1], head, (radius * 0.38, radius * 0.4), darker(character.skin, 0.88))
    if character.hair_style not in ("bald", "hat"):
        canvas.disc(head + up * radius * 0.22, radius * 1.08, character.hair)
    canvas.disc(head, radius * 0.97, character.skin)
    facing = np.clip(np.sin(angles["yaw"] + angles["head_yaw"]), -1, 1)
    _fringe(canvas, character, head - across * facing * radius * 0.2, up, across, radius)
    for eye in (14, 15):
        if seen[eye]:
            canvas.disc(joints[eye], radius * 0.2, (250, 250, 250))
            canvas.disc(joints[eye], radius * 0.12, character.eyes)
    canvas.disc(joints[0] - up * radius * 0.05, radius * 0.09, darker(character.skin, 0.8))
    mouth = joints[0] - up * radius * 0.42
    reach = across * radius * 0.22
    canvas.limb(mouth - reach, mouth + reach, (radius * 0.06, radius * 0.06), (150, 50, 50))


def _fringe(
    canvas: Canvas,
    character: Character,
    head: np.ndarray,
    up: np.ndarray,
    across: np.ndarray,
    radius: float,
) -> None:
    style = character.hair_style
    if style == "bald":
        return
    angle = np.linspace(-1.25, 1.25, 9)
    arc = head + radius * 1.05 * (np.sin(angle)[:, None] * across + np.cos(angle)[:, None] * up)
    low = 0.38 if style != "hat" else 0.3
    brim = head + up * radius * low
    edge = np.stack([brim + across * radius * 0.85, brim - across * radius * 0.85])
    canvas.polygon(np.concatenate([arc, edge]), character.hair)
    if style == "bun":
        canvas.disc(head + up * radius * 1.3, radius * 0.45, character.hair)
    if style == "hat":
        wide = across * radius * 1.35
        canvas.limb(
            brim - wide, brim + wide, (radius * 0.14, radius * 0.14), darker(character.hair)
        )


@lru_cache(maxsize=64)
def background_of(character: Character, size: Size) -> np.ndarray:
    """Return the background of a character: (H, W, 3) uint8."""
    first = np.array(character.background, np.float32)
    second = np.array(character.background_second, np.float32)
    y = np.linspace(0, 1, size.height, dtype=np.float32)[:, None, None]
    x = np.linspace(0, 1, size.width, dtype=np.float32)[None, :, None]
    share = {
        "plain": 0 * (x + y),
        "gradient": y + 0 * x,
        "floor": (y > character.ground - 0.08) + 0 * x,
        "panels": ((x * 4).astype(int) % 2) * 0.6 + 0 * y,
        "sun": ((x - 0.2) ** 2 + (y - 0.2) ** 2 < 0.012) + 0 * x,
    }[character.background_style]
    return np.round(first + (second - first) * share).astype(np.uint8)
