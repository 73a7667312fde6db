"""Frames of ten patches whose colours are known, for tests of what a written clip shows."""

import numpy as np

COLOURS = np.array(
    [
        *[(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0), (0, 255, 255)],
        *[(255, 0, 255), (255, 255, 255), (0, 0, 0), (128, 128, 128), (200, 120, 60)],
    ],
    np.uint8,
)
ALPHAS = np.arange(255, 55, -20, np.uint8)  # of the patches, in the same order
HEIGHTS = (128, 360, 512, 720, 768, 1080, 1280)  # on both sides of where players change matrix


def patches(width: int, height: int, alpha: bool = False) -> np.ndarray:
    """Return a frame, (H, W, 3 or 4) uint8, with two rows of five patches."""
    values = np.concatenate([COLOURS, ALPHAS[:, None]], 1) if alpha else COLOURS
    grid = values.reshape(2, 5, -1)
    return grid[np.arange(height) * 2 // height][:, np.arange(width) * 5 // width]


def middles(width: int, height: int) -> list[tuple[int, int]]:
    """Return x and y of the patches' middles, in their order."""
    return [
        ((2 * column + 1) * width // 10, (2 * row + 1) * height // 4)
        for row in range(2)
        for column in range(5)
    ]


def shown(picture: np.ndarray) -> np.ndarray:
    """Return the ten colours that a picture, (H, W, c), shows in the patches' middles."""
    height, width = picture.shape[:2]
    return np.array([picture[y, x] for x, y in middles(width, height)])
