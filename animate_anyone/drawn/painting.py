"""Painting a character in a pose: picture, silhouette and joints."""

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from ..types import Size
from .characters import Character, Colour
from .details import Part, details_of
from .motions import LEFT_ARM, LEFT_LEG, RIGHT_ARM, RIGHT_LEG, joints_of

SHIFT = 4  # fractional bits of cv2 coordinates
ONE = 1 << SHIFT
TILE = 64  # pixels of a garment texture


@dataclass(frozen=True)
class Painting:
    """One frame of a character."""

    picture: np.ndarray  # (H, W, 3), uint8 RGB
    mask: np.ndarray  # (H, W), uint8, 255 where the figure is
    joints: np.ndarray  # (18, 2), pixels
    visible: np.ndarray  # (18,), bool: on the canvas and not behind the head
    details: dict[str, Part]  # hands, face and feet, in pixels, by the names of PoseClip


class Canvas:
    """A picture and its silhouette, painted together with sub-pixel precision."""

    def __init__(self, background: np.ndarray) -> None:
        """Start from a copy of the background."""
        self.picture = background.copy()
        self.mask = np.zeros(background.shape[:2], np.uint8)

    def polygon(self, points: np.ndarray, colour: Colour) -> None:
        """Fill a polygon, (n, 2) in pixels."""
        fixed = np.round(points * ONE).astype(np.int32)
        cv2.fillPoly(self.picture, [fixed], colour, cv2.LINE_AA, SHIFT)
        cv2.fillPoly(self.mask, [fixed], 255, cv2.LINE_AA, SHIFT)

    def disc(self, centre: np.ndarray, radius: float, colour: Colour) -> None:
        """Fill a disc."""
        point = (round(centre[0] * ONE), round(centre[1] * ONE))
        fixed = max(round(radius * ONE), 1)
        cv2.circle(self.picture, point, fixed, colour, cv2.FILLED, cv2.LINE_AA, SHIFT)
        cv2.circle(self.mask, point, fixed, 255, cv2.FILLED, cv2.LINE_AA, SHIFT)

    def limb(
        self, start: np.ndarray, end: np.ndarray, radii: tuple[float, float], colour: Colour
    ) -> None:
        """Fill a tapered limb with round ends."""
        along = end - start
        length = float(np.hypot(*along))
        if length > 1e-3:
            normal = np.array([-along[1], along[0]]) / length
            self.polygon(
                np.stack(
                    [
                        start + normal * radii[0],
                        end + normal * radii[1],
                        end - normal * radii[1],
                        start - normal * radii[0],
                    ]
                ),
                colour,
            )
        self.disc(start, radii[0], colour)
        self.disc(end, radii[1], colour)

    def textured(self, points: np.ndarray, tile: np.ndarray, corners: np.ndarray) -> None:
        """Fill a polygon with a texture; `corners` are its top left, top right and bottom left."""
        height, width = len(self.mask), len(self.mask[0])
        fixed = np.round(points * ONE).astype(np.int32)
        cover = np.zeros_like(self.mask)
        cv2.fillPoly(cover, [fixed], 255, cv2.LINE_AA, SHIFT)
        source = np.array([[0, 0], [TILE, 0], [0, TILE]], np.float32)
        matrix = cv2.getAffineTransform(source, corners.astype(np.float32))
        cloth = cv2.warpAffine(tile, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)
        alpha = cover[..., None].astype(np.float32) / 255
        self.picture[:] = np.round(self.picture * (1 - alpha) + cloth * alpha).astype(np.uint8)
        np.maximum(self.mask, cover, out=self.mask)


def paint(character: Character, angles: dict[str, float], size: Size) -> Painting:
    """Return the picture, silhouette and keypoints of a character in a pose."""
    xyz, seen = joints_of(character.body, angles)
    scale = character.height * size.height
    origin = np.array([character.centre * size.width, character.ground * size.height])
    joints = xyz[:, :2] * scale + origin
    details = {
        name: _on_canvas(Part(part.xy * scale + origin, part.visible), size)
        for name, part in details_of(character.body, angles, xyz).items()
    }
    depth = xyz[:, 2]
    canvas = Canvas(background_of(character, size))
    arms = sorted((RIGHT_ARM, LEFT_ARM), key=lambda arm: depth[list(arm)].mean())
    behind = [arm for arm in arms if depth[arm[1]] + depth[arm[2]] < -0.06]
    _hair_behind(canvas, character, joints, scale)
    for arm in behind:
        _arm(canvas, character, joints, arm, scale, details)
    for leg in sorted((RIGHT_LEG, LEFT_LEG), key=lambda leg: depth[leg[2]]):
        _leg(canvas, character, joints, leg, scale)
    _torso(canvas, character, joints, scale)
    _head(canvas, character, joints, seen, angles, scale)
    for arm in arms:
        if arm not in behind:
            _arm(canvas, character, joints, arm, scale, details)
    body = _on_canvas(Part(joints, seen), size)
    return Painting(canvas.picture, canvas.mask, joints, body.visible, details)


def _on_canvas(part: Part, size: Size) -> Part:
    """Return the part with points beyond the borders marked as hidden."""
    inside = ((part.xy >= 0) & (part.xy < [size.width, size.height])).all(1)
    return Part(part.xy, part.visible & inside)


def _darker(colour: Colour, gain: float = 0.72) -> Colour:
    return int(colour[0] * gain), int(colour[1] * gain), int(colour[2] * gain)


def _arm(
    canvas: Canvas,
    character: Character,
    joints: np.ndarray,
    arm: tuple[int, ...],
    scale: float,
    details: dict[str, Part],
) -> None:
    shoulder, elbow, wrist = (joints[j] for j in arm)
    wide = character.body.arm_width * scale
    middle, narrow = wide * 0.85, wide * 0.7
    edge = max(0.012 * scale, 0.7)
    outline = _darker(character.top if character.sleeve >= 1 else character.skin)
    canvas.limb(elbow, wrist, (middle + edge, narrow + edge), outline)
    canvas.limb(shoulder, elbow, (wide, middle + edge), outline)
    canvas.limb(shoulder, elbow, (wide, middle), character.skin)
    canvas.limb(elbow, wrist, (middle, narrow), character.skin)
    canvas.disc(wrist + (wrist - elbow) * 0.12, narrow * 1.15, character.skin)
    hand = details["right_hand" if arm == RIGHT_ARM else "left_hand"].xy
    for finger in hand[1:].reshape(5, 4, 2):
        canvas.limb(finger[0], finger[3], (narrow * 0.4, narrow * 0.35), character.skin)
    if character.sleeve > 0:
        upper = min(character.sleeve * 2, 1.0)
        cuff = shoulder + (elbow - shoulder) * upper
        canvas.limb(shoulder, cuff, (wide * 1.12, middle * 1.15), character.top)
    if character.sleeve > 0.5:
        cuff = elbow + (wrist - elbow) * min((character.sleeve - 0.5) * 1.8, 1.0)
        canvas.limb(elbow, cuff, (middle * 1.15, narrow * 1.2), character.top)


def _leg(
    canvas: Canvas, character: Character, joints: np.ndarray, leg: tuple[int, ...], scale: float
) -> None:
    hip, knee, ankle = (joints[j] for j in leg)
    wide = character.body.leg_width * scale
    middle, narrow = wide * 0.75, wide * 0.55
    outwards = -1.0 if leg == RIGHT_LEG else 1.0
    toe = ankle + np.array([outwards * 0.018, 0.022]) * scale
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
    tile = cloth_of(character)
    corners = np.stack([right - across, left + across, right_hip - across])
    canvas.textured(outline, tile, corners)
    if character.belt:
        canvas.limb(
            waist[0], waist[1], (0.012 * scale, 0.012 * scale), _darker(character.bottom, 0.5)
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
    canvas.limb(head, low, (radius * 1.1, width), _darker(character.hair, 0.85))


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
    canvas.limb(joints[1], head, (radius * 0.38, radius * 0.4), _darker(character.skin, 0.88))
    if character.hair_style not in ("bald", "hat"):
        canvas.disc(head + up * radius * 0.22, radius * 1.08, character.hair)
    canvas.disc(head, radius * 0.97, character.skin)
    facing = np.clip(np.sin(angles["yaw"] + angles["head_yaw"]), -1, 1)
    _fringe(canvas, character, head - across * facing * radius * 0.2, up, across, radius)
    for eye in (14, 15):
        if seen[eye]:
            canvas.disc(joints[eye], radius * 0.2, (250, 250, 250))
            canvas.disc(joints[eye], radius * 0.12, character.eyes)
    canvas.disc(joints[0] - up * radius * 0.05, radius * 0.09, _darker(character.skin, 0.8))
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
            brim - wide, brim + wide, (radius * 0.14, radius * 0.14), _darker(character.hair)
        )


@lru_cache(maxsize=64)
def cloth_of(character: Character) -> np.ndarray:
    """Return the texture of the top: (64, 64, 3) uint8."""
    tile = np.empty((TILE, TILE, 3), np.uint8)
    tile[:] = character.top
    row, column = np.mgrid[0:TILE, 0:TILE]
    step = TILE / (4 * character.pattern_scale)
    second = {
        "plain": np.zeros_like(row, bool),
        "rows": (row // step) % 2 == 1,
        "columns": (column // step) % 2 == 1,
        "checks": ((row // step) + (column // step)) % 2 == 1,
        "dots": ((row % (1.6 * step) - 0.8 * step) ** 2 + (column % (1.6 * step) - 0.8 * step) ** 2)
        < (0.45 * step) ** 2,
        "halves": row > TILE // 2,
        "logo": (abs(row - TILE * 0.4) + abs(column - TILE / 2)) < 0.24 * TILE,
    }[character.pattern]
    tile[second] = character.top_second
    return tile


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
