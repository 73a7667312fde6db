"""The canvas of drawn characters: shapes with sub-pixel precision, in picture and silhouette."""

import cv2
import numpy as np

from .cloth import TILE
from .colours import Colour

SHIFT = 4  # fractional bits of cv2 coordinates


Images = tuple[np.ndarray, ...]  # (H, W) or (H, W, 3) uint8 each, painted in place
Values = tuple[Colour | int, ...]  # what each image is painted with


def fill_polygon(
    images: Images,
    points: np.ndarray,  # (n, 2), pixels
    values: Values,
    shift: int = SHIFT,  # fractional bits of the coordinates
) -> None:
    """Fill a polygon in each image, in place."""
    fixed = np.round(points * (1 << shift)).astype(np.int32)
    for image, value in zip(images, values, strict=True):
        cv2.fillPoly(image, [fixed], value, cv2.LINE_AA, shift)  # type: ignore[arg-type]


def fill_disc(
    images: Images,
    centre: np.ndarray,  # (2,), pixels
    radius: float,  # pixels
    values: Values,
    shift: int = SHIFT,
) -> None:
    """Fill a disc in each image, in place."""
    point = (round(centre[0] * (1 << shift)), round(centre[1] * (1 << shift)))
    fixed = max(round(radius * (1 << shift)), 1)
    for image, value in zip(images, values, strict=True):
        cv2.circle(image, point, fixed, value, cv2.FILLED, cv2.LINE_AA, shift)  # type: ignore[arg-type]


def fill_limb(
    images: Images,
    start: np.ndarray,  # (2,), pixels
    end: np.ndarray,
    radii: tuple[float, float],  # pixels, at start and end
    values: Values,
    shift: int = SHIFT,
) -> None:
    """Fill a tapered limb with round ends in each image, in place."""
    along = end - start
    length = float(np.hypot(*along))
    if length > 1e-3:
        normal = np.array([-along[1], along[0]]) / length
        first, last = normal * radii[0], normal * radii[1]
        ring = np.stack([start + first, end + last, end - last, start - first])
        fill_polygon(images, ring, values, shift)
    fill_disc(images, start, radii[0], values, shift)
    fill_disc(images, end, radii[1], values, shift)


class Canvas:
    """A picture and its silhouette, painted together with sub-pixel precision."""

    def __init__(self, background: np.ndarray) -> None:
        """Start from a copy of the background."""
        self.picture = background.copy()
        self.mask = np.zeros(background.shape[:2], np.uint8)

    def polygon(self, points: np.ndarray, colour: Colour) -> None:
        """Fill a polygon, (n, 2) in pixels."""
        fill_polygon((self.picture, self.mask), points, (colour, 255))

    def disc(self, centre: np.ndarray, radius: float, colour: Colour) -> None:
        """Fill a disc."""
        fill_disc((self.picture, self.mask), centre, radius, (colour, 255))

    def limb(
        self, start: np.ndarray, end: np.ndarray, radii: tuple[float, float], colour: Colour
    ) -> None:
        """Fill a tapered limb with round ends."""
        fill_limb((self.picture, self.mask), start, end, radii, (colour, 255))

    def textured(self, points: np.ndarray, tile: np.ndarray, corners: np.ndarray) -> None:
        """Fill a polygon with a texture; `corners` are its top left, top right and bottom left."""
        height, width = len(self.mask), len(self.mask[0])
        cover = np.zeros_like(self.mask)
        fill_polygon((cover,), points, (255,))
        source = np.array([[0, 0], [TILE, 0], [0, TILE]], np.float32)
        matrix = cv2.getAffineTransform(source, corners.astype(np.float32))
        cloth = cv2.warpAffine(tile, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)
        alpha = cover[..., None].astype(np.float32) / 255
        self.picture[:] = np.round(self.picture * (1 - alpha) + cloth * alpha).astype(np.uint8)
        np.maximum(self.mask, cover, out=self.mask)
