"""Figures with the outlines of grown-up people: tapered limbs, waists, dresses, long hair.

They have the joints of the drawn characters, and stand or dance in front of studio walls, graphics
and scenery, as people in photographs and videos of fashion and dance.
"""

from dataclasses import replace

import numpy as np

from ....drawn.characters import make_character
from ....drawn.motions import LEFT_LEG, RIGHT_ARM, RIGHT_LEG
from ....drawn.painting import Figure, Painting, head_axes
from ....types import Size
from .looks import Outfit, dressed, model_angles, model_body
from .mannequin import Painter, disc, ellipse, polygon, tapered, with_soles

SOLES = (1.7, 3.8)  # heights of ankles, times those of drawn characters
# Stations along a limb's two bones, and the radii there, in widths of the limb at its root.
LEG = ((0.0, 1.08), (0.3, 1.0), (0.75, 0.72), (1.0, 0.62), (1.3, 0.66), (1.65, 0.45), (2.0, 0.33))
ARM = ((0.0, 1.0), (0.4, 0.88), (0.85, 0.7), (1.0, 0.68), (1.25, 0.7), (1.7, 0.5), (2.0, 0.44))
# Stations from the shoulders (0) to the hips (1): shares of half the width there.
TORSO = (-0.1, 0.02, 0.15, 0.32, 0.62, 0.85, 1.0, 1.12)


def paint_model(
    rng: np.random.Generator,
    size: Size,
    *,
    height: float,  # of the figure relative to the picture
    ground: float,  # of the ankles, relative to the picture's height
    centre: float,  # relative to the picture's width
) -> Painting:
    """Return a figure on grey."""
    character = replace(
        make_character(rng), body=model_body(rng), height=height, ground=ground, centre=centre
    )
    figure = with_soles(Figure.of(character, model_angles(rng), size), rng, size, SOLES)
    outfit = dressed(rng, size)
    turn = rng.uniform(0, 2 * np.pi)
    light = np.array([np.cos(turn), np.sin(turn)])
    grey = np.full((size.height, size.width, 3), int(rng.integers(256)), np.uint8)
    painter = Painter(grey, light, float(rng.uniform(0.1, 0.8)))
    Model(painter, figure, outfit, rng).paint()
    return figure.painted(painter.picture, painter.mask)


class Model:
    """Paints one figure."""

    def __init__(
        self, painter: Painter, figure: Figure, outfit: Outfit, rng: np.random.Generator
    ) -> None:
        """Measure the figure."""
        self.painter, self.figure, self.outfit, self.rng = painter, figure, outfit, rng
        self.joints, self.layers = figure.joints, outfit.layers
        body, yaw = figure.character.body, figure.angles["yaw"]
        self.arm_width, self.leg_width = (
            body.arm_width * figure.scale,
            body.leg_width * figure.scale,
        )
        self.radius = body.head * figure.scale
        self.back = bool(np.cos(yaw) < 0)
        self.side = abs(float(np.sin(yaw)))

    def paint(self) -> None:
        """Paint all parts, the farther first."""
        behind, before = self.figure.arms()
        if not self.back:
            self._hair_behind()
        for arm in behind:
            self._arm(arm)
        for leg in self.figure.legs():
            self._leg(leg)
        self._neck()
        self._torso()
        self._skirt()
        self._head()
        if self.back:
            self._hair_behind()
        for arm in before:
            self._arm(arm)

    def _tube(
        self,
        limb: np.ndarray,  # (3, 2)
        stations: tuple[tuple[float, float], ...],
        width: float,
        layer: np.ndarray,
        ends: tuple[float, float] = (0.0, 2.0),
        loose: float = 1.0,
    ) -> None:
        """Paint a limb, or a sleeve over it, between two stations."""
        places, radii = np.array(stations).T
        inner = places[(places > ends[0]) & (places < ends[1])]
        along = np.concatenate([[ends[0]], inner, [ends[1]]])
        thick = np.interp(along, places, radii) * width
        if loose > 1:
            thick = thick * loose + 0.25 * (loose - 1) * width * along
        upper = limb[0] + (limb[1] - limb[0]) * np.minimum(along, 1)[:, None]
        points = upper + (limb[2] - limb[1]) * np.maximum(along - 1, 0)[:, None]
        part = self.painter.blank()
        for index in range(len(along) - 1):
            tapered(part, points[index], points[index + 1], thick[index], thick[index + 1])
        self.painter.fill(part, layer, width * 1.6)

    def _arm(self, arm: tuple[int, ...]) -> None:
        hand = self.figure.details["right_hand" if arm == RIGHT_ARM else "left_hand"].xy
        width, outfit = self.arm_width, self.outfit
        part = self.painter.blank()
        for finger in hand[1:].reshape(5, 4, 2):
            tapered(part, finger[0], finger[3], width * 0.22, width * 0.16)
        tapered(part, hand[0], hand[9], width * 0.45, width * 0.5)
        self.painter.fill(part, self.layers["skin"], width)
        limb = self.joints[list(arm)]
        self._tube(limb, ARM, width, self.layers["skin"])
        if outfit.sleeve > 0:
            self._tube(limb, ARM, width, self.layers["top"], (0.0, outfit.sleeve), outfit.loose)

    def _leg(self, leg: tuple[int, ...]) -> None:
        limb, width, outfit = self.joints[list(leg)], self.leg_width, self.outfit
        self._tube(limb, LEG, width, self.layers["skin"])
        shoes = self.layers["shoes" if outfit.shoe >= 0 else "skin"]
        if outfit.shoe > 0:
            self._tube(limb, LEG, width, shoes, (2.0 - outfit.shoe, 2.0), 1.15)
        if outfit.trouser > 0:
            ends = (0.0, outfit.trouser)
            self._tube(limb, LEG, width, self.layers["bottom"], ends, outfit.loose)
        toes = self.figure.details["feet"].xy[[3, 4, 5] if leg == RIGHT_LEG else [0, 1, 2]]
        part = self.painter.blank()
        for toe in toes:
            tapered(part, limb[2], toe, width * 0.34, width * 0.26)
        self.painter.fill(part, shoes, width)

    def _outline(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return stations' centres (n, 2), half widths (n,) and the direction across (2,)."""
        right, left, right_hip, left_hip = (self.joints[j] for j in (2, 5, 8, 11))
        top, low = (right + left) / 2, (right_hip + left_hip) / 2
        down = low - top
        length = max(float(np.hypot(*down)), 1e-6)
        across = np.array([-down[1], down[0]]) / length
        depth = 1.25 * self.leg_width * self.side
        shoulder = np.hypot(abs((left - right) @ across) / 2 + 0.85 * self.arm_width, depth * 0.8)
        hip = np.hypot(abs((left_hip - right_hip) @ across) / 2 + 1.05 * self.leg_width, depth)
        chest = 0.45 * shoulder + 0.5 * hip
        waist = self.outfit.waist * (0.62 * hip + 0.22 * shoulder)
        half = [0.32 * shoulder, shoulder, max(chest, 0.82 * shoulder), chest, waist]
        half += [0.9 * hip, hip, 0.98 * hip]
        stations = np.linspace(TORSO[0], TORSO[-1], 25)
        widths = np.interp(stations, TORSO, half)
        widths = np.convolve(np.pad(widths, 1, mode="edge"), [0.25, 0.5, 0.25], "valid")
        return top + stations[:, None] * down, widths, across

    def _torso(self) -> None:
        centres, half, across = self._outline()
        edges = np.concatenate(
            [centres + half[:, None] * across, (centres - half[:, None] * across)[::-1]]
        )
        width = 0.7 * float(half.max())
        part = self.painter.blank()
        polygon(part, edges)
        self.painter.fill(part, self.layers["top"], width)
        share = float(np.interp(0.7, np.linspace(TORSO[0], TORSO[-1], 25), np.arange(25)))
        start = int(share)
        hips = self.painter.blank()
        polygon(
            hips,
            np.concatenate(
                [
                    centres[start:] + half[start:, None] * across,
                    (centres[start:] - half[start:, None] * across)[::-1],
                ]
            ),
        )
        self.painter.fill(hips, self.layers["bottom"], width)
        depth = self.outfit.neckline
        if depth > 0.02:
            down = centres[-1] - centres[0]
            cut = self.painter.blank()
            reach = 0.42 * half.max()
            tip = centres[0] + down * depth
            polygon(cut, np.stack([centres[0] - across * reach, centres[0] + across * reach, tip]))
            self.painter.fill(cut, self.layers["skin"], width)

    def _skirt(self) -> None:
        outfit, wide = self.outfit, self.leg_width
        if outfit.hem <= 0:
            return
        centres, half, across = self._outline()
        legs = self.joints[[*RIGHT_LEG, *LEFT_LEG]].reshape(2, 3, 2)
        hem = legs[:, 0] + (legs[:, 1] - legs[:, 0]) * min(outfit.hem, 1.0)
        hem = hem + (legs[:, 2] - legs[:, 1]) * max(outfit.hem - 1, 0.0)
        places = hem @ across
        middle = hem.mean(0)
        low = middle + np.outer([places.min(), places.max()] - middle @ across, across)
        reach = wide * (0.8 + outfit.flare)
        low = low + np.outer([-reach, reach], across)
        start = 14
        ring = [centres[start:] - half[start:, None] * across]
        ring += [low[:1], low[1:], (centres[start:] + half[start:, None] * across)[::-1]]
        part = self.painter.blank()
        polygon(part, np.concatenate(ring))
        layer = self.layers["bottom"]
        if outfit.pleats:
            columns = np.arange(layer.shape[1]) - middle[0]
            period = max(2.0, wide * float(self.rng.uniform(0.3, 1.0)))
            wave = 1 + outfit.pleats * np.sin(2 * np.pi * columns / period)
            layer = np.clip(layer * wave[None, :, None], 0, 255).astype(np.uint8)
        self.painter.fill(part, layer, 3 * wide)

    def _neck(self) -> None:
        head, _, _ = head_axes(self.joints)
        part = self.painter.blank()
        tapered(part, self.joints[1], head, self.radius * 0.5, self.radius * 0.42)
        self.painter.fill(part, self.layers["skin"], self.radius)

    def _hair_behind(self) -> None:
        outfit, radius = self.outfit, self.radius
        if outfit.hair <= 0:
            return
        head, up, across = head_axes(self.joints)
        part = self.painter.blank()
        if outfit.style == "bun":
            disc(part, head + up * radius * 0.9, radius * float(self.rng.uniform(0.3, 0.5)))
        else:
            wide = 0.8 if outfit.style == "open" else 0.3
            shift = across * radius * float(self.rng.normal(0, 0.15))
            end = head - up * radius * outfit.hair + shift
            tapered(part, head, end, radius * max(wide, 0.5), radius * wide * 0.8)
        self.painter.fill(part, self.layers["hair"], radius)

    def _head(self) -> None:
        head, up, across = head_axes(self.joints)
        radius, outfit = self.radius, self.outfit
        tilt = float(np.degrees(np.arctan2(up[1], up[0])))
        slim = float(self.rng.uniform(0.66, 0.8)) + 0.14 * self.side
        facing = float(np.clip((self.joints[0] - head) @ across / max(radius, 1e-6), -1, 1))
        hairy = outfit.hair >= 0
        behind, face, cap = (self.painter.blank() for _ in range(3))
        if hairy:
            centre = head + up * radius * 0.08 - across * facing * radius * 0.12
            thick = float(self.rng.uniform(1.0, 1.1))
            ellipse(behind, centre, (radius * thick, radius * slim * thick), tilt)
            self.painter.fill(behind, self.layers["hair"], radius)
        if self.back and hairy:
            return
        ear = 0.96 if hairy and outfit.style == "open" else 1.0
        centre = head - up * radius * 0.04 + across * facing * radius * 0.1
        ellipse(face, centre, (radius * 0.96, radius * slim * 0.93 * ear), tilt)
        self.painter.fill(face, self.layers["skin"], radius * 1.5)
        if hairy:
            line = float(self.rng.uniform(0.3, 0.55))
            tall = (1.06 - line) / 2
            top = head + up * radius * (line + tall) - across * facing * radius * 0.3
            ellipse(cap, top, (radius * tall, radius * slim * 0.95), tilt)
            self.painter.fill(cap, self.layers["hair"], radius)
        if not self.back:
            self._face(head, up, across)
            if outfit.style == "open" and outfit.hair > 0.8:
                self._strands(head, up, across, slim)

    def _strands(self, head: np.ndarray, up: np.ndarray, across: np.ndarray, slim: float) -> None:
        part = self.painter.blank()
        for side in (-1, 1):
            if self.rng.random() < 0.15:
                continue
            first = head + across * side * self.radius * slim + up * self.radius * 0.3
            last = head + across * side * self.radius * (slim + 0.1)
            last = last - up * self.radius * self.outfit.hair * float(self.rng.uniform(0.6, 1))
            tapered(part, first, last, self.radius * 0.2, self.radius * 0.28)
        self.painter.fill(part, self.layers["hair"], self.radius * 0.6)

    def _face(self, head: np.ndarray, up: np.ndarray, across: np.ndarray) -> None:
        radius, joints, rng = self.radius, self.joints, self.rng
        skin = self.layers["skin"]
        dark = (skin * float(rng.uniform(0.2, 0.6))).astype(np.uint8)
        marks = self.painter.blank()
        for eye in (14, 15):
            if self.figure.seen[eye]:
                reach = across * radius * 0.14
                slit = radius * float(rng.uniform(0.04, 0.08))
                tapered(marks, joints[eye] - reach, joints[eye] + reach, slit, slit)
                brow = joints[eye] + up * radius * 0.2
                tapered(marks, brow - reach, brow + reach, radius * 0.035, radius * 0.035)
        tapered(marks, joints[0], joints[0] - up * radius * 0.08, radius * 0.06, radius * 0.1)
        self.painter.fill(marks, dark, radius)
        mouth, lips = joints[0] - up * radius * 0.4, self.painter.blank()
        reach = across * radius * 0.18
        tapered(lips, mouth - reach, mouth + reach, radius * 0.06, radius * 0.06)
        red = np.clip(skin * np.array([0.85, 0.45, 0.5]), 0, 255).astype(np.uint8)
        self.painter.fill(lips, red, radius)
