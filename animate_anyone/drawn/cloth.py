"""Textures of garments: patterns of two colours."""

from functools import lru_cache

import numpy as np

from .colours import Colour

TILE = 64  # pixels of a garment texture
PATTERNS = ("plain", "rows", "columns", "checks", "dots", "halves", "logo")
PRINTS = ("ring", "cross", "bar", "stripe")  # only on backs


@lru_cache(maxsize=64)
def cloth_of(
    first: Colour,
    second: Colour,
    pattern: str,  # of PATTERNS or PRINTS
    scale: float,  # repetitions over the torso
) -> np.ndarray:  # (64, 64, 3) uint8
    """Return the texture of a garment."""
    tile = np.empty((TILE, TILE, 3), np.uint8)
    tile[:] = first
    row, column = np.mgrid[0:TILE, 0:TILE]
    step = TILE / (4 * scale)
    aside, below = abs(column - TILE / 2), row - TILE * 0.4  # from the middle of a print
    spots = (row % (1.6 * step) - 0.8 * step) ** 2 + (column % (1.6 * step) - 0.8 * step) ** 2
    tile[
        {
            "plain": np.zeros_like(row, bool),
            "rows": (row // step) % 2 == 1,
            "columns": (column // step) % 2 == 1,
            "checks": ((row // step) + (column // step)) % 2 == 1,
            "dots": spots < (0.45 * step) ** 2,
            "halves": row > TILE // 2,
            "logo": (abs(below) + aside) < 0.24 * TILE,
            "ring": abs(np.hypot(below, aside) - 0.2 * TILE) < 0.06 * TILE,
            "cross": np.minimum(abs(below), aside) + 0.1 * np.maximum(abs(below), aside)
            < 0.075 * TILE,
            "bar": (abs(below) < 0.12 * TILE) & (aside < 0.36 * TILE),
            "stripe": aside < 0.11 * TILE,
        }[pattern]
    ] = second
    return tile
