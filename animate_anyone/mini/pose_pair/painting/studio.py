"""Pictures of models: studio walls, graphics and scenery, big figures in tall pictures, writing."""

import cv2
import numpy as np

from ....drawn.details import Part
from ....types import Size
from ..wholebody import wholebody
from .mannequin import Painter, cloth, tapered
from .models import paint_model
from .rich import rich_background, weathered
from .scenery import add_object, make_scenery, octaves, palette, tinted

MARGIN = 1.3  # side of the painted area relative to the picture; the rest is cut off
LONGER = (176, 288)  # pixels, range of the longer side
TALL = (0.42, 0.85)  # width of a tall picture relative to its height


def studio_size(rng: np.random.Generator) -> Size:
    """Return the size of a picture, more often tall than wide."""
    longer = int(rng.integers(LONGER[0], LONGER[1] + 1))
    shorter = max(96, round(longer * rng.uniform(*TALL)))
    return Size(shorter, longer) if rng.random() < 0.75 else Size(longer, max(shorter, 128))


def studio_people(
    rng: np.random.Generator, size: Size
) -> tuple[np.ndarray, list[tuple[np.ndarray, Part]]]:
    """Return a picture and the silhouettes and points in it, from back to front."""
    picture = _behind(rng, size)
    count = int(rng.choice(3, p=[0.14, 0.76, 0.1]))
    figures = []
    for index in range(count):
        figure, mask, points = _placed(rng, size, alone=count == 1, index=index)
        _reflection(rng, picture, figure, mask)
        cover = mask[..., None].astype(np.float32) / 255
        picture = (picture * (1 - cover) + figure * cover).astype(np.uint8)
        figures.append((mask, points))
    if count == 0 and rng.random() < 0.5:
        _thing(rng, picture)
    if rng.random() < 0.25:
        _writing(rng, picture)
    if rng.random() < 0.4:
        return weathered(rng, picture), figures
    return _camera(rng, picture), figures


def _placed(
    rng: np.random.Generator, size: Size, *, alone: bool, index: int
) -> tuple[np.ndarray, np.ndarray, Part]:
    """Paint a figure, most often as tall as the picture."""
    aspect = size.width / size.height
    if alone and rng.random() < 0.6:
        height = float(rng.uniform(0.62, 0.96))
        ground = float(rng.uniform(min(height + 0.02, 0.95), 0.99)) - 0.03
    else:
        height = float(np.exp(rng.uniform(np.log(0.25), np.log(1.7 if alone else 0.95))))
        top = rng.uniform(-0.15 * height, max(0.3, 1 - height))
        ground = top + height
    centre = float(np.clip(rng.normal(0.5, 0.12), 0.15, 0.85))
    if not alone:
        centre = float(rng.uniform(0.1, 0.45) + 0.45 * index)
    inset = (1 - 1 / MARGIN) / 2
    large = Size(round(size.width * MARGIN), round(size.height * MARGIN))
    painting = paint_model(
        rng,
        large,
        height=height / MARGIN,
        ground=ground / MARGIN + inset,
        centre=centre / MARGIN + inset,
    )
    picture, mask, points = painting.picture, painting.mask, wholebody(painting)
    if rng.random() < 0.5:
        picture, mask, points = _turned(rng, picture, mask, points, aspect)
    left, up = (large.width - size.width) // 2, (large.height - size.height) // 2
    window = np.s_[up : up + size.height, left : left + size.width]
    xy = points.xy - (left, up)
    inside = ((xy >= 0) & (xy < (size.width, size.height))).all(1)
    picture, mask = np.ascontiguousarray(picture[window]), np.ascontiguousarray(mask[window])
    if rng.random() < 0.5:
        folds = 1 + float(rng.uniform(0.1, 0.4)) * (octaves(rng, size, 0.6) - 0.5)
        picture = np.clip(picture * folds[..., None], 0, 255).astype(np.uint8)
    return picture, mask, Part(xy, points.visible & inside)


def _turned(
    rng: np.random.Generator, picture: np.ndarray, mask: np.ndarray, points: Part, aspect: float
) -> tuple[np.ndarray, np.ndarray, Part]:
    """Turn and stretch the figure a little."""
    middle = points.xy[:17].mean(0)
    turn = np.deg2rad(rng.normal(0, 5))
    wide, tall = np.exp(rng.normal(0, 0.07, 2))
    matrix = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    matrix = matrix @ np.diag([wide, tall])
    affine = np.column_stack([matrix, middle - matrix @ middle])
    extent = picture.shape[1::-1]
    picture = cv2.warpAffine(picture, affine, extent, borderMode=cv2.BORDER_REPLICATE)
    mask = cv2.warpAffine(mask, affine, extent)
    return picture, mask, Part(points.xy @ matrix.T + affine[:, 2], points.visible)


def _behind(rng: np.random.Generator, size: Size) -> np.ndarray:
    """Return what is behind the figures."""
    kind = rng.random()
    if kind < 0.5:
        return _wall(rng, size)
    if kind < 0.65:
        return _graphics(rng, size)
    return make_scenery(rng, size) if kind < 0.85 else rich_background(rng, size)


def _wall(rng: np.random.Generator, size: Size) -> np.ndarray:
    """Return a white, grey or coloured wall, perhaps with a floor, lighter in the middle."""
    if rng.random() < 0.55:
        colour = np.full(3, rng.uniform(225, 255)) + rng.normal(0, 2, 3)
    elif rng.random() < 0.5:
        colour = np.full(3, rng.uniform(20, 225)) + rng.normal(0, 8, 3)
    else:
        colour = palette(rng, 1)[0]
    shade = np.ones((size.height, size.width), np.float32)
    row, column = np.mgrid[-1 : 1 : size.height * 1j, -1 : 1 : size.width * 1j]
    if rng.random() < 0.5:
        shade -= float(rng.uniform(0, 0.25)) * (row**2 + column**2).astype(np.float32) / 2
    picture = shade[..., None] * colour.astype(np.float32)
    if rng.random() < 0.4:
        floor = float(rng.uniform(0.4, 0.95))
        picture[row > floor] *= float(rng.uniform(0.8, 1.05))
        if rng.random() < 0.5:
            picture = cv2.GaussianBlur(picture, (0, 0), float(rng.uniform(1, 8)))
    return np.clip(picture, 0, 255).astype(np.uint8)


def _graphics(rng: np.random.Generator, size: Size) -> np.ndarray:
    """Return a vivid backdrop: a sky, hills and bushes in few colours."""

    def vivid() -> np.ndarray:
        hsv = np.array([[[rng.uniform(0, 180), rng.uniform(60, 230), rng.uniform(140, 255)]]])
        return cv2.cvtColor(hsv.astype(np.uint8), cv2.COLOR_HSV2RGB)[0, 0].astype(np.float32)

    row = np.linspace(0, 1, size.height, dtype=np.float32)[:, None] + np.zeros(size.width)
    picture = tinted(row.astype(np.float32), np.stack([vivid(), np.full(3, 250.0), vivid()]))
    for _ in range(int(rng.integers(0, 4))):
        level = float(rng.uniform(0.4, 0.95)) * size.height
        steps = np.linspace(0, size.width, 24)
        wave = level + rng.uniform(2, 0.08 * size.height) * np.sin(
            steps * rng.uniform(0.02, 0.15) + rng.uniform(0, 6)
        )
        ring = np.concatenate(
            [np.stack([steps, wave], 1), [[size.width, size.height], [0, size.height]]]
        )
        shade = tuple(int(v) for v in vivid())
        cv2.fillPoly(picture, [ring.astype(np.int32)], shade, cv2.LINE_AA)
    for _ in range(int(rng.integers(0, 10))):
        at = (int(rng.integers(size.width)), int(rng.uniform(0.3, 1) * size.height))
        reach = int(rng.uniform(0.02, 0.12) * size.height)
        cv2.circle(picture, at, reach, tuple(int(v) for v in vivid()), cv2.FILLED, cv2.LINE_AA)
    return picture


def _reflection(
    rng: np.random.Generator, picture: np.ndarray, figure: np.ndarray, mask: np.ndarray
) -> None:
    """Show the figure's shadow on the floor, or its reflection in it."""
    left, top, width, height = cv2.boundingRect(mask)
    chance = rng.random()
    if width == 0 or chance < 0.5:
        return
    foot = top + height
    room = min(len(picture) - foot, height)
    if chance < 0.7 and room > 2:
        flipped, cover = figure[foot - room : foot][::-1], mask[foot - room : foot][::-1] / 255
        share = cover * np.linspace(rng.uniform(0.1, 0.4), 0, room)[:, None]
        below = picture[foot : foot + room]
        below[:] = below * (1 - share[..., None]) + flipped * share[..., None]
        return
    shadow = np.zeros(mask.shape, np.float32)
    axes = (max(1, int(width * rng.uniform(0.2, 0.6))), max(1, int(height * 0.02)))
    centre = (left + width // 2, min(foot, len(picture)))
    cv2.ellipse(shadow, centre, axes, 0.0, 0, 360, 1.0, cv2.FILLED)
    shadow = cv2.GaussianBlur(shadow, (0, 0), max(1.0, height * 0.012))
    picture[:] = picture * (1 - float(rng.uniform(0.1, 0.5)) * shadow[..., None])


def _thing(rng: np.random.Generator, picture: np.ndarray) -> None:
    """Paint a thing alone before a wall: a bottle, a dress on a hanger, a post, anything."""
    size = Size(picture.shape[1], picture.shape[0])
    turn = rng.uniform(0, 2 * np.pi)
    painter = Painter(picture, np.array([np.cos(turn), np.sin(turn)]), float(rng.uniform(0.1, 0.8)))
    layer = cloth(rng, size, palette(rng, 1)[0], 0.4)
    middle = np.array([rng.uniform(0.3, 0.7) * size.width, rng.uniform(0.2, 0.4) * size.height])
    radius = float(rng.uniform(0.02, 0.12)) * size.height
    part = painter.blank()
    for _ in range(int(rng.integers(1, 5))):
        step = np.array([rng.normal(0, 0.01), rng.uniform(0.05, 0.25)])
        after = middle + step * (size.width, size.height)
        wider = float(radius * np.exp(rng.normal(0, 0.5)))
        tapered(part, middle, after, radius, wider)
        middle, radius = after, wider
    painter.fill(part, layer, 2 * radius)
    picture[:] = painter.picture
    for _ in range(int(rng.integers(0, 3))):
        add_object(rng, picture)


def _writing(rng: np.random.Generator, picture: np.ndarray) -> None:
    """Write over the picture, as titles and subtitles do; letters often have outlines."""
    height, width = picture.shape[:2]
    letters = "".join(chr(int(code)) for code in rng.integers(33, 123, int(rng.integers(2, 14))))
    scale = float(rng.uniform(0.4, 1.6)) * height / 250
    low = rng.uniform(0.8, 0.99) if rng.random() < 0.75 else rng.uniform(0.05, 0.8)
    at, font = (int(rng.uniform(-0.1, 0.5) * width), int(low * height)), int(rng.integers(8))
    thick = int(rng.integers(1, 4))
    first, second = (tuple(int(v) for v in colour) for colour in rng.integers(0, 256, (2, 3)))
    if rng.random() < 0.6:
        cv2.putText(picture, letters, at, font, scale, second, thick + 2, cv2.LINE_AA)
    cv2.putText(picture, letters, at, font, scale, first, thick, cv2.LINE_AA)


def _camera(rng: np.random.Generator, picture: np.ndarray) -> np.ndarray:
    """Return a picture as a good camera shows it: sharp, bright, with a little noise."""
    shown = picture.astype(np.float32)
    if rng.random() < 0.5:
        shown = 127 + (shown - 127) * float(rng.uniform(0.85, 1.3)) + float(rng.normal(0, 8))
    if rng.random() < 0.4:
        shown = cv2.GaussianBlur(shown, (0, 0), float(rng.uniform(0.3, 0.9)))
    if rng.random() < 0.3:
        shown += rng.standard_normal(shown.shape, np.float32) * float(rng.uniform(1, 5))
    return np.clip(shown, 0, 255).astype(np.uint8)
