"""Training pictures that are closer to photographs: figures with light, cloth and wider motion.

The figures are the drawn characters, changed in shape, light and colour, in front of scenery.
"""

from dataclasses import replace
from itertools import pairwise

import cv2
import numpy as np

from ....drawn.characters import make_character
from ....drawn.details import Part
from ....drawn.motions import Proportions, make_motion
from ....drawn.painting import paint
from ....types import Size
from ..wholebody import wholebody
from .mannequin import Painter, cloth, disc, ellipse, paint_mannequin, polygon, tapered
from .scenery import add_object, make_scenery, octaves, palette, texture

MARGIN = 1.3  # side of the painted area relative to the picture; the rest is cut off
SIDES = (128, 288)  # pixels, range of the picture's sides
MANNEQUINS = 0.65  # share of the figures; the others are drawn characters
PIECES = 4  # rows and columns into which a figure is cut for a picture without people
# Degrees of freedom that move further than in drawn clips: lowest and highest value, radians.
WIDER = {
    "yaw": (-1.3, 1.3),
    "lean": (-0.35, 0.35),
    "head_yaw": (-0.7, 0.7),
    "head_roll": (-0.35, 0.35),
    "right_arm": (-0.3, 3.1),
    "left_arm": (-0.3, 3.1),
    "right_arm_depth": (-0.8, 1.0),
    "left_arm_depth": (-0.8, 1.0),
    "right_elbow": (0.0, 2.3),
    "left_elbow": (0.0, 2.3),
    "right_leg": (-0.1, 0.9),
    "left_leg": (-0.1, 0.9),
    "right_leg_depth": (-0.7, 1.2),
    "left_leg_depth": (-0.7, 1.2),
    "right_knee": (0.0, 1.6),
    "left_knee": (0.0, 1.6),
}


def rich_figure(
    rng: np.random.Generator,
    size: Size,
    heights: tuple[float, float] = (0.2, 1.8),  # of the figure relative to the picture
) -> tuple[np.ndarray, np.ndarray, Part]:  # (H, W, 3) uint8; (H, W) uint8; 133 points
    """Paint a figure: picture, silhouette, points."""
    character, angles = make_character(rng), make_motion(rng).angles(float(rng.uniform(0, 400)))
    if rng.random() < 0.6:
        character = replace(character, body=_natural_body(rng))
    if rng.random() < 0.65:
        share = rng.uniform(0.3, 1)
        for name, (low, high) in WIDER.items():
            angles[name] += share * (rng.uniform(low, high) - angles[name])
    back = rng.random() < 0.15
    if back:
        angles["yaw"] += np.pi
    height = float(np.exp(rng.uniform(*np.log(heights))))
    top = rng.uniform(-0.25 * height, max(0.35, 1 - height))
    inset = (1 - 1 / MARGIN) / 2
    character = replace(
        character,
        height=height / MARGIN,
        ground=(top + height) / MARGIN + inset,
        centre=float(rng.uniform(0.1, 0.9)) / MARGIN + inset,
    )
    large = Size(round(size.width * MARGIN), round(size.height * MARGIN))
    drawn = rng.random() > MANNEQUINS
    painting = (
        paint(character, angles, large) if drawn else paint_mannequin(rng, character, angles, large)
    )
    picture, mask, points = painting.picture, painting.mask, wholebody(painting)
    if back and drawn:
        _turn_head(picture, mask, painting.joints, character.body.head * character.height, rng)
    picture, mask, points = _deformed(rng, picture, mask, points)
    left, up = (large.width - size.width) // 2, (large.height - size.height) // 2
    window = np.s_[up : up + size.height, left : left + size.width]
    xy = points.xy - (left, up)
    inside = ((xy >= 0) & (xy < (size.width, size.height))).all(1)
    picture, mask = np.ascontiguousarray(picture[window]), np.ascontiguousarray(mask[window])
    return _lit(rng, picture, mask), mask, Part(xy, points.visible & inside)


def _natural_body(rng: np.random.Generator) -> Proportions:
    """Return proportions of adults and older children."""
    head, neck = rng.uniform(0.056, 0.085), rng.uniform(0.025, 0.055)
    rest = 1 - 2 * head - neck
    torso = rest * rng.uniform(0.36, 0.4)
    legs = rest - torso
    arms = torso * rng.uniform(1.0, 1.25)
    sturdy = rng.uniform(0.8, 1.7)
    return Proportions(
        head=head, neck=neck, torso=torso,
        shoulders=rng.uniform(0.17, 0.23) * sturdy**0.4, hips=rng.uniform(0.1, 0.14) * sturdy**0.4,
        upper_arm=arms * rng.uniform(0.5, 0.55), forearm=arms * rng.uniform(0.44, 0.5),
        thigh=legs * rng.uniform(0.49, 0.53), shin=legs * rng.uniform(0.47, 0.51),
        arm_width=0.027 * sturdy, leg_width=0.042 * sturdy,
    )  # fmt: skip


def _turn_head(
    picture: np.ndarray,
    mask: np.ndarray,
    joints: np.ndarray,  # (18, 2)
    radius: float,  # of the head, heights of the picture
    rng: np.random.Generator,
) -> None:
    """Cover the face with hair: the figure is seen from behind."""
    at = joints[[16, 17]].mean(0)
    centre = (int(at[0]), int(at[1]))
    colour = tuple(int(v) for v in rng.integers(10, 150) + rng.integers(-10, 11, 3))
    reach = max(1, round(radius * len(picture) * 1.02))
    for canvas, value in ((picture, colour), (mask, 255)):
        cv2.circle(canvas, centre, reach, value, cv2.FILLED, cv2.LINE_AA)


def _deformed(
    rng: np.random.Generator, picture: np.ndarray, mask: np.ndarray, points: Part
) -> tuple[np.ndarray, np.ndarray, Part]:
    """Turn, stretch and slant the figure a little."""
    if rng.random() < 0.3:
        return picture, mask, points
    middle = points.xy[:17].mean(0)
    turn = np.deg2rad(rng.normal(0, 40 if rng.random() < 0.08 else 9))
    wide, tall = np.exp(rng.normal(0, 0.12, 2))
    slant = rng.normal(0, 0.06)
    matrix = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    matrix = matrix @ np.array([[wide, slant], [0, tall]])
    affine = np.column_stack([matrix, middle - matrix @ middle])
    extent = picture.shape[1::-1]
    picture = cv2.warpAffine(picture, affine, extent, borderMode=cv2.BORDER_REPLICATE)
    mask = cv2.warpAffine(mask, affine, extent)
    return picture, mask, Part(points.xy @ matrix.T + affine[:, 2], points.visible)


def _lit(rng: np.random.Generator, picture: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Round the limbs off by light from one side; add cloth, shadows and less vivid colours."""
    size = Size(picture.shape[1], picture.shape[0])
    shade = np.ones(mask.shape, np.float32)
    if rng.random() < 0.6:
        solid = cv2.GaussianBlur(mask, (0, 0), float(rng.uniform(1, 4))).astype(np.float32) / 255
        turn = rng.uniform(0, 2 * np.pi)
        slope = np.cos(turn) * cv2.Sobel(solid, cv2.CV_32F, 1, 0, scale=0.5)
        slope += np.sin(turn) * cv2.Sobel(solid, cv2.CV_32F, 0, 1, scale=0.5)
        shade += float(rng.uniform(0.3, 2.0)) * slope
    if rng.random() < 0.6:
        shade *= 1 + float(rng.uniform(0.1, 0.7)) * (octaves(rng, size, 1.0) - 0.5)
    if rng.random() < 0.5:
        shade *= 1 + float(rng.uniform(0.1, 0.8)) * (octaves(rng, size, 0.2) - 0.5)
    lit = np.clip(picture * np.clip(shade, 0.1, 2)[..., None], 0, 255)
    if rng.random() < 0.5:
        grey = lit.mean(-1, keepdims=True)
        lit = grey + (lit - grey) * float(rng.uniform(0, 1))
    if rng.random() < 0.3:
        lit = lit.mean() + (lit - lit.mean()) * float(rng.uniform(0.3, 1)) + rng.uniform(-40, 40)
    return np.clip(lit, 0, 255).astype(np.uint8)


def rich_background(rng: np.random.Generator, size: Size) -> np.ndarray:
    """Return scenery, often with creatures and things that are painted like people but are none."""
    picture = make_scenery(rng, size)
    if rng.random() < 0.25:
        _scatter(rng, picture)
    for _ in range(int(rng.choice(4, p=[0.4, 0.35, 0.15, 0.1]))):
        _add_creature(rng, picture)
    return picture


def _add_creature(rng: np.random.Generator, picture: np.ndarray) -> None:
    """Paint 1 to 8 rounded parts that hang together anyhow; a thing, a heap, or an animal."""
    size = Size(picture.shape[1], picture.shape[0])
    turn = rng.uniform(0, 2 * np.pi)
    light = np.array([np.cos(turn), np.sin(turn)])
    painter = Painter(picture, light, float(rng.uniform(0.1, 1.0)))
    layers = [
        cloth(rng, size, palette(rng, 1)[0], 0.6) if rng.random() < 0.6 else texture(rng, size)
        for _ in range(int(rng.integers(1, 4)))
    ]
    reach = float(np.exp(rng.uniform(np.log(0.05), np.log(0.6)))) * max(size.width, size.height)
    ends = [rng.uniform(0, 1, 2) * (size.width, size.height)]
    stout = float(rng.uniform(0.1, 0.8))
    for _ in range(int(rng.integers(1, 9))):
        start = ends[rng.integers(len(ends))]
        angle = rng.uniform(0, 2 * np.pi)
        end = start + reach * rng.uniform(0.2, 1.0) * np.array([np.cos(angle), np.sin(angle)])
        radii = reach * stout * rng.uniform(0.2, 1, 2)
        part = painter.blank()
        if rng.random() < 0.2:
            corners = np.sort(rng.uniform(0, 2 * np.pi, int(rng.integers(3, 7))))
            polygon(part, end + 2 * radii.max() * np.stack([np.cos(corners), np.sin(corners)], 1))
        elif rng.random() < 0.3:
            ellipse(part, end, (2 * radii[0], 2 * radii[1]), float(rng.uniform(0, 180)))
        else:
            tapered(part, start, end, radii[0], radii[1])
        painter.fill(part, layers[rng.integers(len(layers))], float(radii.max()))
        ends.append(end)
    if rng.random() < 0.35:  # eyes
        side = reach * float(rng.uniform(0.04, 0.15))
        eyes = painter.blank()
        for shift in (-1, 1):
            disc(eyes, ends[-1] + np.array([shift * 1.6 * side, 0]), side)
        painter.fill(eyes, cloth(rng, size, palette(rng, 1)[0], 0.3), side)
    picture[:] = painter.picture


def _scatter(rng: np.random.Generator, picture: np.ndarray) -> None:
    """Paste the pieces of a figure at random places."""
    size = Size(picture.shape[1], picture.shape[0])
    figure, mask, _ = rich_figure(rng, size, (0.4, 1.1))
    left, top, width, height = cv2.boundingRect(mask)
    rows = np.linspace(top, top + height, PIECES + 1).astype(int)
    columns = np.linspace(left, left + width, PIECES // 2 + 1).astype(int)
    for up, low in pairwise(rows):
        for first, last in pairwise(columns):
            if min(low - up, last - first) < 2 or rng.random() < 0.3:
                continue
            turn = int(rng.integers(4))
            piece = np.rot90(figure[up:low, first:last], turn)
            cover = np.rot90(mask[up:low, first:last], turn)[..., None] / 255
            tall, wide = cover.shape[:2]
            if tall > size.height or wide > size.width:
                continue
            y, x = (
                int(rng.integers(size.height - tall + 1)),
                int(rng.integers(size.width - wide + 1)),
            )
            box = np.s_[y : y + tall, x : x + wide]
            picture[box] = (picture[box] * (1 - cover) + piece * cover).astype(np.uint8)


def rich_people(
    rng: np.random.Generator, size: Size
) -> tuple[np.ndarray, list[tuple[np.ndarray, Part]]]:
    """Return a picture and the silhouettes and points in it, from back to front."""
    picture = rich_background(rng, size)
    count = int(rng.choice(3, p=[0.38, 0.45, 0.17]))
    heights = (0.2, 1.8) if count < 2 else (0.2, 1.0)
    figures = []
    for _ in range(count):
        figure, mask, points = rich_figure(rng, size, heights)
        if rng.random() < 0.3:
            _cast_shadow(rng, picture, mask)
        cover = mask[..., None].astype(np.float32) / 255
        picture = (picture * (1 - cover) + figure * cover).astype(np.uint8)
        figures.append((mask, points))
    if figures and rng.random() < 0.25:
        front = add_object(rng, picture)
        figures = [_hidden_behind(front, mask, points) for mask, points in figures]
    return weathered(rng, picture), figures


def _hidden_behind(front: np.ndarray, mask: np.ndarray, points: Part) -> tuple[np.ndarray, Part]:
    at = np.clip(points.xy, 0, np.array(mask.shape[::-1]) - 1).astype(int)
    seen = points.visible & (front[at[:, 1], at[:, 0]] < 128)
    return np.where(front > 127, 0, mask).astype(np.uint8), Part(points.xy, seen)


def _cast_shadow(rng: np.random.Generator, picture: np.ndarray, mask: np.ndarray) -> None:
    left, top, width, height = cv2.boundingRect(mask)
    if width == 0:
        return
    shadow = np.zeros(mask.shape, np.float32)
    axes = (max(1, int(width * rng.uniform(0.3, 0.7))), max(1, int(height * 0.05)))
    centre = (left + width // 2, top + height)
    cv2.ellipse(shadow, centre, axes, float(rng.normal(0, 5)), 0, 360, 1.0, cv2.FILLED)
    shadow = cv2.GaussianBlur(shadow, (0, 0), max(1.0, height * 0.02))
    picture[:] = picture * (1 - float(rng.uniform(0.2, 0.6)) * shadow[..., None])


def weathered(
    rng: np.random.Generator,
    picture: np.ndarray,  # (H, W, 3), uint8
) -> np.ndarray:  # (H, W, 3), uint8
    """Return a picture as a camera might show it: light, vignette, cast, blur, noise, JPEG."""
    size = Size(picture.shape[1], picture.shape[0])
    shown = picture.astype(np.float32)
    if rng.random() < 0.3:
        light = cv2.resize(rng.uniform(0.4, 1.3, (2, 2)).astype(np.float32), picture.shape[1::-1])
        shown *= light[..., None]
    if rng.random() < 0.2:
        row, column = np.mgrid[-1 : 1 : size.height * 1j, -1 : 1 : size.width * 1j]
        fall = 1 - rng.uniform(0.1, 0.5) * (row**2 + column**2) / 2
        shown *= fall[..., None].astype(np.float32)
    if rng.random() < 0.5:
        shown *= np.exp(rng.normal(0, 0.12, 3)).astype(np.float32)
    if rng.random() < 0.4:
        power = float(np.exp(rng.normal(0, 0.35)))
        shown = 255 * (np.clip(shown, 0, 255) / 255) ** power
    if rng.random() < 0.15:
        shown[:] = shown.mean(-1, keepdims=True)
    if rng.random() < 0.35:
        shown = cv2.GaussianBlur(shown, (0, 0), float(rng.uniform(0.4, 2.0)))
    elif rng.random() < 0.15:  # motion
        length = int(rng.integers(3, 9))
        kernel = np.zeros((length, length), np.float32)
        angle = rng.uniform(0, np.pi)
        for step in np.linspace(-1, 1, 2 * length):
            at = np.round((length - 1) / 2 * (1 + step * np.array([np.sin(angle), np.cos(angle)])))
            kernel[int(at[0]), int(at[1])] = 1
        shown = cv2.filter2D(shown, -1, kernel / kernel.sum())
    if rng.random() < 0.4:
        shown += rng.standard_normal(shown.shape, np.float32) * float(rng.uniform(1, 14))
    result = np.clip(shown, 0, 255).astype(np.uint8)
    if rng.random() < 0.4:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(20, 90))]
        result = np.asarray(cv2.imdecode(cv2.imencode(".jpg", result, quality)[1], 1))
    return result
