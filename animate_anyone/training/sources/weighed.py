"""Figures, hands and faces as parts of a batch, for the weights of the loss."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ...pose.drawing.hull import PoseMask
from ...pose.skeleton.joints import PART_JOINTS
from ...pose.skeleton.part_boxes import BoxRule, Part, coverage, part_boxes
from ...pose.skeleton.stack import SLICES
from ...types import Points, PoseClip, Size
from .batch import Draw

LATENT = 8  # pixels of a latent's side


def boxed(
    poses: PoseClip,  # of the targets, on a canvas of the pictures' size
    part: Part,
    rule: BoxRule,
) -> np.ndarray:  # (f, h, w), float32, 0..1
    """Return the share of each latent inside boxes around hands, or around faces."""
    grid = poses.canvas.height // LATENT, poses.canvas.width // LATENT
    return coverage(part_boxes(poses, part, rule), grid, LATENT)


def rules_of(draw: Draw) -> list[tuple[str, Part, BoxRule]]:
    """Return the field of Batch, the part and the rule of all boxes that are needed."""
    parts: list[tuple[str, Part, BoxRule | None]] = [
        ("hands", "hand", draw.hands),
        ("faces", "face", draw.faces),
    ]
    return [(name, part, rule) for name, part, rule in parts if rule is not None]


def boxes_of_rows(
    rows: list[PoseClip],  # of each example, its targets
    draw: Draw,
) -> dict[str, Tensor]:  # each (b, 1, f, h, w)
    """Return those of `hands` and `faces` of a batch that are needed."""
    return {
        name: torch.from_numpy(np.stack([boxed(row, part, rule) for row in rows]))[:, None]
        for name, part, rule in rules_of(draw)
    }


def figures_of_rows(
    rows: list[PoseClip],  # of each example, its targets
    margin: float,  # around the limbs, as a share of the shorter side; 0: no masks
) -> Tensor | None:  # (b, 1, f, h, w), 0..1
    """Return the share of each latent that lies near the limbs of the skeletons."""
    if not margin:
        return None
    shape = PoseMask(margin=margin, feather=0.0)
    masks = np.stack([shape.of(row, row.canvas) for row in rows])
    shares = F.avg_pool2d(torch.from_numpy(masks).float() / 255, LATENT)
    return shares[:, None]


def clip_of_points(
    points: np.ndarray,  # (f, 134, 3): x, y and confidence
    size: Size,
) -> PoseClip:
    """Return the points of one person, as shards store them, as a clip."""
    assert points.shape[1] == sum(PART_JOINTS.values())
    parts = {
        name: Points(
            xy=points[:, None, where, :2].astype(np.float64),
            confidence=points[:, None, where, 2].astype(np.float64),
        )
        for name, where in SLICES.items()
    }
    return PoseClip(canvas=size, **parts)
