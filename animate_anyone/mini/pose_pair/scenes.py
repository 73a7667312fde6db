"""Pictures of 0 to 2 drawn characters at random places and sizes, with their keypoints."""

from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from ...drawn.canvas import Canvas
from ...drawn.characters import make_character
from ...drawn.details import Part
from ...drawn.motions import make_motion
from ...drawn.painting import background_of, paint
from ...errors import InputError
from ...types import Size
from .painting.rich import SIDES as RICH_SIDES
from .painting.rich import rich_people
from .painting.studio import studio_people, studio_size
from .wholebody import POINTS, wholebody

SIDES = (128, 320)  # pixels, range of the sides of painted pictures
STORED = 192  # pixels, longer side of a picture on disk
PEOPLE = 2  # at most
# Shares of drawn pictures, of those with scenery and clutter, and of those with models.
KINDS = {"drawn": 0.3, "rich": 0.22, "studio": 0.48}
FEWEST_JOINTS = 5  # visible joints of the body; a figure with fewer is placed again
FIELDS = ("pictures", "sizes", "xy", "visible", "boxes")


@dataclass(frozen=True)
class PaintedScene:
    """A picture and the people in it."""

    picture: np.ndarray  # (H, W, 3), uint8 RGB
    xy: np.ndarray  # (p, 133, 2), pixels
    visible: np.ndarray  # (p, 133), bool: on the canvas and not hidden
    boxes: np.ndarray  # (p, 4), pixels: left, top, right, bottom of the silhouettes


@dataclass(frozen=True)
class Figure:
    """One painted character."""

    picture: np.ndarray  # (H, W, 3), uint8 RGB, with its background
    mask: np.ndarray  # (H, W), uint8
    points: Part  # 133


def make_scene(rng: np.random.Generator) -> PaintedScene:
    """Draw a scene: one figure with probability 0.8, else none or two."""
    size = Size(*(int(side) for side in rng.integers(SIDES[0], SIDES[1] + 1, 2)))
    kind = rng.choice(["one", "none", "two"], p=[0.8, 0.08, 0.12])
    if kind == "none":
        return _scene(_clutter(rng, background_of(make_character(rng), size)), [])
    if kind == "one":
        cluttered = rng.random() < 0.4
        return _composed(rng, [_figure(rng, size)], cluttered=cluttered)
    left = _figure(rng, size, centre=(0.15, 0.4))
    right = _figure(rng, size, centre=(0.6, 0.85))
    return _composed(rng, [left, right], cluttered=False)


def rich_scene(rng: np.random.Generator) -> PaintedScene:
    """Draw 0 to 2 figures with light and cloth in front of scenery."""
    low, high = RICH_SIDES
    size = Size(*(int(side) for side in rng.integers(low, high + 1, 2)))
    picture, figures = rich_people(rng, size)
    return _scene(picture, [Figure(picture, mask, points) for mask, points in figures])


def studio_scene(rng: np.random.Generator) -> PaintedScene:
    """Draw 0 to 2 models in a picture that is more often tall than wide."""
    picture, figures = studio_people(rng, studio_size(rng))
    return _scene(picture, [Figure(picture, mask, points) for mask, points in figures])


def plain_scene(rng: np.random.Generator) -> PaintedScene:
    """Draw one figure at its default place, in a picture of random size."""
    character, motion = make_character(rng), make_motion(rng)
    size = Size(*(int(side) for side in rng.integers(SIDES[0], SIDES[1] + 1, 2)))
    painting = paint(character, motion.angles(float(rng.uniform(0, 400))), size)
    return _scene(painting.picture, [Figure(painting.picture, painting.mask, wholebody(painting))])


def _figure(
    rng: np.random.Generator, size: Size, centre: tuple[float, float] = (0.2, 0.8)
) -> Figure:
    """Paint a character at a place where enough of it is visible."""
    while True:
        character, motion = make_character(rng), make_motion(rng)
        if rng.random() < 0.6:
            height = float(np.exp(rng.uniform(np.log(0.35), np.log(1.8))))
            top = rng.uniform(-0.3 * height, max(0.4, 1 - height))
            character = replace(character, height=height, ground=top + height)
        if rng.random() < 0.6 or centre != (0.2, 0.8):
            character = replace(character, centre=rng.uniform(*centre))
        painting = paint(character, motion.angles(float(rng.uniform(0, 400))), size)
        points = wholebody(painting)
        if points.visible[:17].sum() >= FEWEST_JOINTS:
            return Figure(painting.picture, painting.mask, points)


def _composed(rng: np.random.Generator, figures: list[Figure], *, cluttered: bool) -> PaintedScene:
    """Put all figures in front of the first one's background; later ones cover earlier ones."""
    picture = figures[0].picture
    if cluttered:
        figures = [figures[0], *figures]
        picture = _clutter(rng, picture)
    for figure in figures[1:]:
        cover = figure.mask[..., None].astype(np.float32) / 255
        picture = np.round(picture * (1 - cover) + figure.picture * cover).astype(np.uint8)
    return _scene(picture, figures[1:] if cluttered else figures)


def _scene(picture: np.ndarray, figures: list[Figure]) -> PaintedScene:
    """Return the scene; points that a later figure covers are not visible."""
    people = []
    for index, figure in enumerate(figures):
        visible, mask = figure.points.visible.copy(), figure.mask.copy()
        at = np.clip(figure.points.xy, 0, np.array(mask.shape[::-1]) - 1).astype(int)
        for later in figures[index + 1 :]:
            visible &= later.mask[at[:, 1], at[:, 0]] < 128
            mask[later.mask > 127] = 0
        if visible[:17].sum() >= FEWEST_JOINTS:
            people.append((figure.points.xy, visible, _extent(mask)))
    return PaintedScene(
        picture,
        np.array([person[0] for person in people]).reshape(-1, POINTS, 2),
        np.array([person[1] for person in people], bool).reshape(-1, POINTS),
        np.array([person[2] for person in people], np.float64).reshape(-1, 4),
    )


def _extent(mask: np.ndarray) -> tuple[float, float, float, float]:
    """Return left, top, right, bottom of a mask."""
    rows, columns = np.flatnonzero(mask.max(1) > 127), np.flatnonzero(mask.max(0) > 127)
    return columns[0], rows[0], columns[-1] + 1, rows[-1] + 1


def _clutter(rng: np.random.Generator, picture: np.ndarray) -> np.ndarray:
    """Draw discs, bars and polygons as background objects."""
    canvas = Canvas(picture)
    extent = np.array(picture.shape[1::-1])
    for _ in range(int(rng.integers(1, 9))):
        red, green, blue = (int(value) for value in rng.integers(0, 256, 3))
        middle = rng.uniform(0, 1, 2) * extent
        reach = float(rng.uniform(0.03, 0.25) * extent.min())
        shape = rng.integers(3)
        if shape == 0:
            canvas.disc(middle, reach, (red, green, blue))
        elif shape == 1:
            radii = tuple(float(r) for r in rng.uniform(0.1, 0.5, 2) * reach)
            end = middle + rng.normal(0, 2 * reach, 2)
            canvas.limb(middle, end, (radii[0], radii[1]), (red, green, blue))
        else:
            canvas.polygon(middle + rng.normal(0, 1.5 * reach, (4, 2)), (red, green, blue))
    return canvas.picture


def write_scenes(path: Path, *, seed: int, count: int) -> None:
    """Paint scenes into a folder, resized to the same longer side; they depend only on the seed."""
    rng = np.random.default_rng((seed, count))
    stored = {
        "pictures": np.zeros((count, STORED, STORED, 3), np.uint8),
        "sizes": np.zeros((count, 2), np.int32),  # width, height of the filled corner
        "xy": np.zeros((count, PEOPLE, POINTS, 2), np.float32),
        "visible": np.zeros((count, PEOPLE, POINTS), bool),
        "boxes": np.zeros((count, PEOPLE, 4), np.float32),  # all zero: no person
    }
    makers = [{"drawn": make_scene, "rich": rich_scene, "studio": studio_scene}[k] for k in KINDS]
    for index in range(count):
        scene = makers[rng.choice(len(makers), p=list(KINDS.values()))](rng)
        height, width = scene.picture.shape[:2]
        scale = STORED / max(height, width)
        size = (round(width * scale), round(height * scale))
        ratio = np.array(size) / (width, height)
        way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        picture = cv2.resize(scene.picture, size, interpolation=way)
        people = len(scene.boxes)
        stored["pictures"][index, : size[1], : size[0]] = picture
        stored["sizes"][index] = size
        # Whole numbers are pixel centres; after resizing, the centres lie at other places.
        stored["xy"][index, :people] = (scene.xy + 0.5) * ratio - 0.5
        stored["visible"][index, :people] = scene.visible
        stored["boxes"][index, :people] = scene.boxes * np.tile(ratio, 2)
    folder = path.with_suffix(".partial")
    folder.mkdir(parents=True, exist_ok=True)
    for name, values in stored.items():
        np.save(folder / f"{name}.npy", values)
    folder.rename(path)


def read_scenes(folder: Path) -> dict[str, np.ndarray]:
    """Return all painted scenes of a run, by field; pictures as (n, 192, 192, 3) uint8.

    Raises InputError if there are none.
    """
    shards = sorted(path for path in folder.glob("scenes-*") if not path.suffix)
    if not shards:
        raise InputError(
            f"folder got {folder}; it holds no painted scenes. Run `mini pose-data` first."
        )
    return {
        field: np.concatenate([np.load(shard / f"{field}.npy") for shard in shards])
        for field in FIELDS
    }
