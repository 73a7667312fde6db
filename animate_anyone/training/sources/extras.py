"""Further reference pictures of an example: how many, and which frames of the clip they are."""

import numpy as np

from .batch import Draw

POOLED = 16  # pixels of a skeleton picture's blocks, by which poses are compared
CANDIDATES = 12  # frames of a long clip from which further references are chosen


def draw_extras(
    rng: np.random.Generator,
    draw: Draw,
    available: int,  # frames that are neither the first reference nor a target
) -> int:
    """Return how many further references an example has: each is left out at random."""
    most = min(draw.references - 1, available)
    return int((rng.random(draw.references - 1)[:most] >= draw.reference_dropout).sum())


def far_apart(
    poses: np.ndarray,  # (n, d): a description of each frame's pose
    first: int,  # row of the first reference
    candidates: np.ndarray,  # rows that may be chosen
    count: int,
) -> np.ndarray:  # (count,), rows
    """Return candidates whose poses are far from the first reference's, and from each other's."""
    left, chosen = [int(row) for row in candidates], [first]
    for _ in range(count):
        gaps = [min(np.linalg.norm(poses[row] - poses[other]) for other in chosen) for row in left]
        chosen.append(left.pop(int(np.argmax(gaps))))
    return np.array(chosen[1:], int)


def described(
    points: np.ndarray,  # (n, j, 2), pixels
    confidence: np.ndarray,  # (n, j)
) -> np.ndarray:  # (n, 3 j)
    """Return poses as numbers that depend neither on place nor on size: joints, and which are seen.

    A turned person has its left joints on the right and no face, so it is far from its front.
    """
    seen = confidence > 0
    weight = np.maximum(seen.sum(1, keepdims=True), 1)[..., None]
    middle = (points * seen[..., None]).sum(1, keepdims=True) / weight
    offsets = (points - middle) * seen[..., None]
    size = np.sqrt(np.square(offsets).sum((1, 2), keepdims=True) / weight) + 1e-6
    return np.concatenate([(offsets / size).reshape(len(points), -1), seen], 1)


def described_pictures(poses: np.ndarray) -> np.ndarray:  # (n, H, W, 3) uint8 -> (n, d)
    """Return poses as coarse pictures of their skeletons, for clips without keypoints."""
    n, height, width, _ = poses.shape
    rows, columns = height // POOLED, width // POOLED
    kept = poses[:, : rows * POOLED, : columns * POOLED].astype(np.float32)
    return kept.reshape(n, rows, POOLED, columns, POOLED, 3).mean((2, 4)).reshape(n, -1)
