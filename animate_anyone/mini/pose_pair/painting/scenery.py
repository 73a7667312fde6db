"""Pictures without people for training: noise, leaves, rooms, streets, clutter.

Everything is computed from random numbers. Natural pictures have more large shapes than small
ones, soft and hard edges, and textures of many scales; so have these.
"""

from collections.abc import Callable

import cv2
import numpy as np

from ....types import Size

CANVAS_SHADES = 3  # textures of a picture, from which its shapes are cut


def make_scenery(rng: np.random.Generator, size: Size) -> np.ndarray:  # (H, W, 3), uint8 RGB
    """Return a picture without people, with 0 to 12 objects in front of a background."""
    names = list(_BACKGROUNDS)
    background = _BACKGROUNDS[names[rng.choice(len(names), p=[0.25, 0.15, 0.2, 0.25, 0.15])]]
    picture = background(rng, size)
    for _ in range(int(rng.integers(0, 13))):
        add_object(rng, picture)
    return picture


def octaves(
    rng: np.random.Generator,
    size: Size,
    slope: float = 1.0,  # amplitude per wavelength; 0: all scales alike
) -> np.ndarray:  # (H, W), float32, 0..1
    """Return noise of many scales."""
    total = np.zeros((size.height, size.width), np.float32)
    side = 2
    while side < max(size.height, size.width):
        rows = max(2, round(side * size.height / max(size.height, size.width)))
        columns = max(2, round(side * size.width / max(size.height, size.width)))
        grid = rng.random((rows, columns), np.float32) - 0.5
        grown = cv2.resize(grid, (size.width, size.height), interpolation=cv2.INTER_CUBIC)
        total += grown * float(side) ** -slope
        side *= 2
    total -= total.min()
    return total / max(float(total.max()), 1e-6)


def palette(rng: np.random.Generator, count: int) -> np.ndarray:  # (count, 3), float32 RGB 0..255
    """Return colours of mostly low saturation around one or two hues, as in photographs."""
    hues = rng.uniform(0, 180, 2)
    hue = (hues[rng.integers(0, 2, count)] + rng.normal(0, 12, count)) % 180
    saturation = 255 * rng.beta(1.0, 2.8, count)
    value = 255 * rng.beta(1.6, 1.4, count)
    colours = np.stack([hue, saturation, value], 1).astype(np.uint8)
    return cv2.cvtColor(colours[None], cv2.COLOR_HSV2RGB)[0].astype(np.float32)


def tinted(
    field: np.ndarray,  # (H, W), 0..1
    colours: np.ndarray,  # (n, 3)
) -> np.ndarray:  # (H, W, 3), uint8
    """Return a field shown in colours, from the first at 0 to the last at 1."""
    places = np.linspace(0, 255, len(colours))
    levels = np.arange(256)
    table = np.stack([np.interp(levels, places, channel) for channel in colours.T], -1)
    return table.round().astype(np.uint8)[(field * 255).astype(np.uint8)]


def texture(rng: np.random.Generator, size: Size) -> np.ndarray:
    """Return one texture: noise, stretched noise, stripes, or a grid."""
    kind = rng.integers(5)
    colours = palette(rng, int(rng.integers(2, 5)))
    if kind < 2:
        return tinted(octaves(rng, size, float(rng.uniform(0.2, 1.3))), colours)
    row, column = np.mgrid[: size.height, : size.width].astype(np.float32)
    turn = float(rng.uniform(0, np.pi))
    along = row * np.sin(turn) + column * np.cos(turn)
    across = column * np.sin(turn) - row * np.cos(turn)
    step = float(np.exp(rng.uniform(np.log(3), np.log(40))))
    if kind == 2:  # wood, grass, hair
        grain = octaves(rng, Size(size.width, max(2, size.height // 16)), 0.4)
        field = cv2.resize(grain, (size.width, size.height))
        return tinted(np.clip(field, 0, 1), colours)
    wave = (along / step) % 1
    if kind == 3:  # stripes
        return tinted(np.clip(wave + 0.2 * octaves(rng, size), 0, 1), colours)
    lines = np.minimum(wave, ((across / step / float(rng.uniform(1, 3))) % 1)) < 0.12  # bricks
    return tinted(np.clip(0.7 * octaves(rng, size) + 0.3 * ~lines, 0, 1), colours)


def _leaves(rng: np.random.Generator, size: Size) -> np.ndarray:
    """Return shapes that cover each other, few large and many small ones."""
    textures = [texture(rng, size) for _ in range(CANVAS_SHADES)]
    picture = textures[0].copy()
    extent = max(size.width, size.height)
    largest = rng.uniform(0.1, 0.5) * extent
    count = int(rng.integers(30, 140))
    radii = np.sort(largest / (1 + rng.uniform(0, 12, count)))[::-1]
    colours = palette(rng, 8)
    straight = rng.random()
    for radius in radii:
        mask = np.zeros(picture.shape[:2], np.uint8)
        centre = rng.uniform(-0.1, 1.1, 2) * (size.width, size.height)
        _shape(rng, mask, centre, float(radius), angular=rng.random() < straight)
        _fill(rng, picture, mask, textures, colours)
    return picture


def _shape(
    rng: np.random.Generator,
    mask: np.ndarray,  # (H, W), uint8; painted in place
    centre: np.ndarray,  # (2,), pixels
    radius: float,
    *,
    angular: bool,
) -> None:
    at = (int(centre[0]), int(centre[1]))
    slim = float(rng.uniform(0.2, 1))
    turn = float(rng.uniform(0, 180))
    if angular:
        corners = int(rng.integers(3, 7))
        angles = np.sort(rng.uniform(0, 2 * np.pi, corners))
        ring = np.stack([np.cos(angles), np.sin(angles) * slim], 1) * radius
        spin = np.deg2rad(turn)
        matrix = np.array([[np.cos(spin), -np.sin(spin)], [np.sin(spin), np.cos(spin)]])
        points = np.round(ring @ matrix + centre).astype(np.int32)
        cv2.fillPoly(mask, [points], 255, cv2.LINE_AA)
    else:
        axes = (max(1, int(radius)), max(1, int(radius * slim)))
        cv2.ellipse(mask, at, axes, turn, 0, 360, 255, cv2.FILLED, cv2.LINE_AA)


def _fill(
    rng: np.random.Generator,
    picture: np.ndarray,  # (H, W, 3), painted in place
    mask: np.ndarray,
    textures: list[np.ndarray],
    colours: np.ndarray,
) -> None:
    """Fill a mask with a plain colour, or a texture, lighter towards one side."""
    left, top, width, height = cv2.boundingRect(mask)
    if width == 0:
        return
    box = np.s_[top : top + height, left : left + width]
    colour = colours[rng.integers(len(colours))]
    inner = np.broadcast_to(colour, (height, width, 3))
    if rng.random() < 0.5:
        inner = 0.5 * textures[rng.integers(len(textures))][box] + 0.5 * inner
    light = 1 + rng.uniform(-0.4, 0.4) * np.linspace(-1, 1, width, dtype=np.float32)[None, :, None]
    light = light + rng.uniform(-0.4, 0.4) * np.linspace(-1, 1, height)[:, None, None]
    alpha = mask[box][..., None].astype(np.float32) / 255
    mixed = picture[box] * (1 - alpha) + np.clip(inner * light, 0, 255) * alpha
    picture[box] = mixed.astype(np.uint8)


def _cloudy(rng: np.random.Generator, size: Size) -> np.ndarray:
    return tinted(octaves(rng, size, float(rng.uniform(0, 1.6))), palette(rng, 4))


def _gradient(rng: np.random.Generator, size: Size) -> np.ndarray:
    """Return a smooth backdrop, often nearly plain."""
    turn = float(rng.uniform(0, 2 * np.pi))
    row, column = np.mgrid[0 : 1 : size.height * 1j, 0 : 1 : size.width * 1j]
    field = 0.5 + (row - 0.5) * np.sin(turn) * 0.7 + (column - 0.5) * np.cos(turn) * 0.7
    field = field + rng.uniform(0, 0.2) * (octaves(rng, size, 1.2) - 0.5)
    colours = palette(rng, 2)
    if rng.random() < 0.5:
        colours[1] = np.clip(colours[0] + rng.normal(0, 25, 3), 0, 255)
    if rng.random() < 0.3:
        colours[:] = colours.mean(1, keepdims=True)
    return tinted(np.clip(field, 0, 1).astype(np.float32), colours)


def _room(rng: np.random.Generator, size: Size) -> np.ndarray:
    """Return floor and walls in perspective, with boxes, frames and doors."""
    textures = [texture(rng, size) for _ in range(CANVAS_SHADES)]
    picture = _gradient(rng, size)
    horizon = float(rng.uniform(0.3, 0.85)) * size.height
    corner = float(rng.uniform(-0.3, 1.3)) * size.width
    colours = palette(rng, 6)
    low = float(size.height)
    floor = np.array([[corner, horizon], [-size.width, low * 1.2], [2 * size.width, low * 1.2]])
    for points in (floor, np.array([[corner, 0], [corner, horizon], [2 * size.width, low * 1.2],
                                    [2 * size.width, -low * 0.2]])):  # fmt: skip
        mask = np.zeros(picture.shape[:2], np.uint8)
        cv2.fillPoly(mask, [points.astype(np.int32)], 255, cv2.LINE_AA)
        _fill(rng, picture, mask, textures, colours)
    if rng.random() < 0.5:  # boards and tiles
        for share in np.linspace(-1, 2, int(rng.integers(6, 20))):
            end = (int(corner + (share - 0.5) * 4 * size.width), int(2 * low))
            shade = tuple(int(v) for v in colours[0])
            cv2.line(picture, (int(corner), int(horizon)), end, shade, 1, cv2.LINE_AA)
    for _ in range(int(rng.integers(1, 7))):
        left, top = rng.uniform(-0.1, 0.9, 2) * (size.width, size.height)
        across, down = rng.uniform(0.05, 0.5, 2) * (size.width, size.height)
        lean = rng.normal(0, 0.15, 4) * down
        right, low = left + across, top + down
        box = np.array(
            [
                [left, top + lean[0]],
                [right, top + lean[1]],
                [right, low + lean[2]],
                [left, low + lean[3]],
            ]
        )
        mask = np.zeros(picture.shape[:2], np.uint8)
        cv2.fillPoly(mask, [box.astype(np.int32)], 255, cv2.LINE_AA)
        _fill(rng, picture, mask, textures, colours)
    return picture


def _street(rng: np.random.Generator, size: Size) -> np.ndarray:
    """Return sky, ground and houses with windows, trees and poles."""
    textures = [texture(rng, size) for _ in range(CANVAS_SHADES)]
    picture = _gradient(rng, size)
    colours = palette(rng, 6)
    horizon = float(rng.uniform(-0.1, 0.8)) * size.height
    ground = np.zeros(picture.shape[:2], np.uint8)
    slope = rng.normal(0, 0.1) * size.height
    edge = [[0, horizon - slope], [size.width, horizon + slope], [size.width, size.height]]
    cv2.fillPoly(ground, [np.array([*edge, [0, size.height]], np.int32)], 255)
    _fill(rng, picture, ground, textures, colours)
    for _ in range(int(rng.integers(0, 4))):  # houses
        left = float(rng.uniform(-0.2, 0.9)) * size.width
        across, tall = rng.uniform(0.1, 0.5) * size.width, rng.uniform(0.1, 0.7) * size.height
        mask = np.zeros(picture.shape[:2], np.uint8)
        top = (int(left), int(horizon - tall))
        cv2.rectangle(mask, top, (int(left + across), int(horizon + 4)), 255, cv2.FILLED)
        _fill(rng, picture, mask, textures, colours)
        step = int(rng.integers(6, 24))
        shade = tuple(int(v) for v in colours[rng.integers(6)])
        for y in range(top[1] + step // 2, int(horizon), step):
            for x in range(top[0] + step // 2, int(left + across - step // 2), step):
                cv2.rectangle(picture, (x, y), (x + step // 2, y + step // 2), shade, cv2.FILLED)
    return picture


def add_object(
    rng: np.random.Generator,
    picture: np.ndarray,  # (H, W, 3), painted in place
) -> np.ndarray:  # (H, W), uint8: where the object is
    """Paint one thing that is no person: shape, ball, tree, pole, furniture or bundle of sticks."""
    mask = np.zeros(picture.shape[:2], np.uint8)
    size = Size(picture.shape[1], picture.shape[0])
    extent = float(min(size.width, size.height))
    centre = rng.uniform(0, 1, 2) * (size.width, size.height)
    kind = rng.integers(6)
    if kind == 0:
        radius = float(rng.uniform(0.03, 0.25)) * extent
        _shape(rng, mask, centre, radius, angular=rng.random() < 0.5)
    elif kind == 1:
        _branch(rng, mask, centre, rng.normal(-np.pi / 2, 0.3), rng.uniform(0.1, 0.35) * extent, 4)
    elif kind == 2:  # pole
        lean = rng.normal(0, 0.1)
        length = float(rng.uniform(0.3, 1.5)) * extent
        end = centre + length * np.array([np.sin(lean), np.cos(lean)])
        _stick(mask, centre, end, float(rng.uniform(0.005, 0.06)) * extent)
        if rng.random() < 0.5:  # lamp, sign
            _shape(rng, mask, centre, float(rng.uniform(0.03, 0.1)) * extent, angular=False)
    elif kind == 3:  # table, chair, shelf
        _furniture(rng, mask, centre, extent)
    elif kind == 4:  # sticks of the sizes of limbs that meet, with joints and balls
        _bundle(rng, mask, centre, float(rng.uniform(0.05, 0.2)) * extent)
    else:  # writing
        letters = "".join(chr(int(code)) for code in rng.integers(48, 123, int(rng.integers(1, 9))))
        at = (int(centre[0] - 0.3 * extent), int(centre[1]))
        scale = float(rng.uniform(0.3, 2.5))
        cv2.putText(mask, letters, at, int(rng.integers(8)), scale, 255, int(rng.integers(1, 6)))
    _fill(rng, picture, mask, [picture.copy()], palette(rng, 3))
    if kind == 0 and rng.random() < 0.4:
        _round_off(rng, picture, mask)
    return mask


def _stick(mask: np.ndarray, start: np.ndarray, end: np.ndarray, width: float) -> None:
    first, last = ((int(p[0]), int(p[1])) for p in (start, end))
    cv2.line(mask, first, last, 255, max(1, round(width)), cv2.LINE_AA)


def _branch(
    rng: np.random.Generator,
    mask: np.ndarray,
    start: np.ndarray,
    angle: float,
    length: float,
    depth: int,
) -> None:
    """Paint a branch and those that grow from it."""
    end = start + length * np.array([np.cos(angle), np.sin(angle)])
    _stick(mask, start, end, length * 0.16)
    if depth > 0 and length > 3:
        for _ in range(int(rng.integers(1, 4))):
            turn = angle + rng.normal(0, 0.6)
            _branch(rng, mask, end, turn, length * rng.uniform(0.5, 0.85), depth - 1)
    elif rng.random() < 0.5:
        _shape(rng, mask, end, length * 1.2, angular=False)


def _furniture(
    rng: np.random.Generator, mask: np.ndarray, centre: np.ndarray, extent: float
) -> None:
    """Paint a plate with legs, and perhaps a back."""
    across, tall = (float(v) * extent for v in rng.uniform(0.1, 0.5, 2))
    thick = float(rng.uniform(0.01, 0.05)) * extent
    half = np.array([across / 2, 0])
    left, right = centre - half, centre + half
    _stick(mask, left, right, thick * rng.uniform(1, 4))
    lean = rng.normal(0, 0.15, 2) * tall
    for foot, slant in zip((left, right), lean, strict=True):
        _stick(mask, foot, foot + np.array([slant, tall]), thick)
    if rng.random() < 0.5:
        _stick(mask, left, left - np.array([lean[0], tall]), thick)


def _bundle(rng: np.random.Generator, mask: np.ndarray, centre: np.ndarray, length: float) -> None:
    """Paint 2 to 6 sticks that hang together anyhow."""
    ends = [centre]
    for _ in range(int(rng.integers(2, 7))):
        start = ends[rng.integers(len(ends))]
        angle = rng.uniform(0, 2 * np.pi)
        end = start + length * rng.uniform(0.5, 1.5) * np.array([np.cos(angle), np.sin(angle)])
        _stick(mask, start, end, length * float(rng.uniform(0.15, 0.5)))
        ends.append(end)
    if rng.random() < 0.4:
        _shape(rng, mask, ends[-1], length * float(rng.uniform(0.2, 0.6)), angular=False)


def _round_off(rng: np.random.Generator, picture: np.ndarray, mask: np.ndarray) -> None:
    """Shade a shape like a ball, with a highlight."""
    left, top, width, height = cv2.boundingRect(mask)
    if min(width, height) < 3:
        return
    box = np.s_[top : top + height, left : left + width]
    row, column = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    sun = rng.uniform(-0.6, 0.6, 2)
    light = np.clip(1.3 - np.hypot(row - sun[0], column - sun[1]), 0.2, 1.4)[..., None]
    inside = mask[box][..., None] > 127
    shaded = np.clip(picture[box] * light, 0, 255).astype(np.uint8)
    picture[box] = np.where(inside, shaded, picture[box])


_BACKGROUNDS: dict[str, Callable[[np.random.Generator, Size], np.ndarray]] = {
    "leaves": _leaves,
    "cloudy": _cloudy,
    "room": _room,
    "street": _street,
    "gradient": _gradient,
}
