"""Metrics of hands and faces: inside boxes around their true keypoints.

A box reaches a fifth of its longer side beyond the points. A hand is measured where all of its
points are known, a face where half of them are; other frames do not count.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ...pose.skeleton.part_boxes import GROUPS, BoxRule, Part, coverage, part_boxes
from ...pose.skeleton.stack import SLICES, stack, torso_px
from ...types import PoseClip
from .frames import psnr_inside
from .lpips import LpipsNetwork, lpips
from .poses import distances

RULE = BoxRule()
LPIPS_SIDE = 64  # pixels to which a box is resized; the network needs about as many
SMALLEST = 2  # pixels of a box's side, of those that LPIPS compares


def part_psnr(
    result: Tensor,  # (f, 3, H, W), 0..1
    truth: Tensor,  # (f, 3, H, W), 0..1
    skeletons: PoseClip,  # of the truth, on its canvas
    part: Part,
) -> float | None:
    """Return the PSNR in dB inside the boxes, averaged over frames; None if no frame has one."""
    H, W = truth.shape[-2:]
    inside = torch.from_numpy(coverage(part_boxes(skeletons, part, RULE), (H, W), 1.0) > 0.5)
    there = inside.any(-1).any(-1)
    if not there.any():
        return None
    return float(psnr_inside(result[there], truth[there], inside[there].to(truth.device)).mean())


def part_lpips(
    result: Tensor,  # (f, 3, H, W), 0..1
    truth: Tensor,  # (f, 3, H, W), 0..1
    skeletons: PoseClip,  # of the truth, on its canvas
    part: Part,
    network: LpipsNetwork,
) -> float | None:
    """Return the mean LPIPS of the boxes, resized to 64x64; None if no frame has one."""
    found = part_boxes(skeletons, part, RULE)
    pairs = [
        (_cut(result[frame], box), _cut(truth[frame], box))
        for frame, boxes in enumerate(found)
        for box in boxes
        if _is_inside(box, truth)
    ]
    if not pairs:
        return None
    ours, true = (torch.cat(side) for side in zip(*pairs, strict=True))
    return float(lpips(ours, true, network).mean())


def part_pck(
    clip: PoseClip,  # found in generated frames
    truth: PoseClip,  # of the same canvas, length and order of people
    part: Part,
    threshold: float = 0.1,  # of the torso
) -> float | None:
    """Return the share of the visible points of hands or face that the clip has within a distance.

    Unit and rules are those of `pck`; None if the truth shows no such point.
    """
    near = threshold * torso_px(truth, stack(truth))[None, :, None]
    right: list[np.ndarray] = []
    for name in GROUPS[part]:
        distance, visible = distances(clip, truth, SLICES[name])
        right.append((distance <= near)[visible])
    every = np.concatenate(right)
    return float(every.mean()) if len(every) else None


def _is_inside(box: np.ndarray, frames: Tensor) -> bool:
    """Return whether a box has a few pixels on the picture."""
    if not np.isfinite(box).all():
        return False
    left, top, right, bottom = _pixels(box, frames)
    return right - left >= SMALLEST and bottom - top >= SMALLEST


def _cut(frame: Tensor, box: np.ndarray) -> Tensor:  # (1, 3, 64, 64)
    left, top, right, bottom = _pixels(box, frame)
    cut = frame[None, :, top:bottom, left:right]
    return F.interpolate(cut, (LPIPS_SIDE, LPIPS_SIDE), mode="bilinear", align_corners=False)


def _pixels(box: np.ndarray, frames: Tensor) -> tuple[int, int, int, int]:
    """Return the borders of a box in whole pixels, on the picture."""
    H, W = frames.shape[-2:]
    low, high = np.floor(box[:2]), np.ceil(box[2:])
    left, right = np.clip([low[0], high[0]], 0, W).astype(int).tolist()
    top, bottom = np.clip([low[1], high[1]], 0, H).astype(int).tolist()
    return left, top, right, bottom
