"""The canvas of drawn characters: shapes with sub-pixel precision, in picture and silhouette."""

import cv2
import numpy as np

from .cloth import TILE
from .colours import Colour

SHIFT = 4  # fractional bits of cv2 coordinates
ONE = 1 << SHIFT


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
