"""Losses of the pose pair's training."""

import torch
import torch.nn.functional as F
from einops import reduce
from torch import Tensor

from .networks import BOXES, SIMCC_RATIO, STRIDES
from .wholebody import POINT_GROUPS, POINTS

# Sigmas of the Gaussian targets as a share of the axis: RTMPose's 6 of 576 and 6.93 of 768 bins.
SIGMAS = (6 / 576, 6.93 / 768)
PART_WEIGHTS = {"body": 1.0, "feet": 0.4, "face": 0.08, "hands": 0.15}  # of each point
REACH = 1.0  # cells: greatest distance from a box's centre to the cells that must find it
LEVEL_SIDES = (40, 80)  # pixels: longer sides from which a box belongs to the next level


def keypoint_error(
    logits: tuple[Tensor, Tensor, Tensor],  # (b, 133, 2 W), (b, 133, 2 H), (b, 133)
    xy: Tensor,  # (b, 133, 2), pixels of the crop
    visible: Tensor,  # (b, 133), bool
) -> tuple[Tensor, Tensor]:
    """Return the cross-entropies of place (visible points only) and of visibility (all points)."""
    weights = point_weights().to(xy)
    shown = weights * visible
    place = xy.new_zeros(())
    for axis in (0, 1):
        values = logits[axis].float()
        bins = torch.arange(values.shape[-1], dtype=xy.dtype)
        distance = bins - SIMCC_RATIO * xy[..., axis, None]
        sigma = SIGMAS[axis] * values.shape[-1]
        target = torch.softmax(-0.5 * (distance / sigma).square(), -1)
        crossed = -(target * values.log_softmax(-1)).sum(-1)
        place = place + (crossed * shown).sum() / shown.sum().clamp(min=1)
    seen = F.binary_cross_entropy_with_logits(logits[2].float(), visible.to(xy), reduction="none")
    return place, (seen * weights).sum() / (weights.sum() * len(xy))


def point_weights() -> Tensor:  # (133,)
    """Return the weight of each point; the many points of face and hands weigh less."""
    weights = torch.zeros(POINTS)
    for part, weight in PART_WEIGHTS.items():
        weights[POINT_GROUPS[part]] = weight
    return weights


def cells(size: int) -> tuple[Tensor, Tensor]:  # (n, 2) column and row, (n,) stride
    """Return the detector's cells in the order of its output, for a picture of size x size."""
    grids, strides = [], []
    for stride in STRIDES:
        side = torch.arange(size // stride, dtype=torch.float32)
        row, column = torch.meshgrid(side, side, indexing="ij")
        grids.append(torch.stack([column, row], -1).flatten(0, 1))
        strides.append(torch.full((len(side) ** 2,), float(stride)))
    return torch.cat(grids), torch.cat(strides)


def decode_boxes(rows: Tensor, grid: Tensor, stride: Tensor) -> Tensor:  # (b, n, 4), pixels
    """Turn raw boxes of every cell (b, n, 4 or more) into left, top, right, bottom."""
    centre = (rows[..., :2] + grid) * stride[:, None]
    half = rows[..., 2:BOXES].clamp(max=6).exp() * stride[:, None] / 2
    return torch.cat([centre - half, centre + half], -1)


def assign(
    boxes: Tensor,  # (b, p, 4), pixels; all zero: no person
    grid: Tensor,
    stride: Tensor,
) -> Tensor:  # (b, n): which person each cell must find, -1 for none
    """Assign to each person the cells around its centre, on the level that fits its size."""
    centre = reduce(boxes, "b p (corners xy) -> b p xy", "mean", corners=2)
    extent = boxes[..., 2:] - boxes[..., :2]
    longer = extent.amax(-1)
    level = sum((longer >= side).long() for side in LEVEL_SIDES)
    wanted = torch.tensor(STRIDES, dtype=stride.dtype)[level]
    offset = (grid + 0.5) * stride[:, None] - centre[:, :, None]  # (b, p, n, 2)
    near = (offset.abs() <= REACH * stride[:, None]).all(-1)
    fits = near & (stride == wanted[..., None]) & (longer > 0)[..., None]
    distance = offset.square().sum(-1).masked_fill(~fits, float("inf"))
    nearest = distance.min(1)
    return torch.where(nearest.values.isfinite(), nearest.indices, -1)


def detection_error(
    rows: Tensor,  # (b, n, 6), from PersonDetector.rows
    boxes: Tensor,  # (b, p, 4), pixels; all zero: no person
    size: int,  # side of the picture, pixels
) -> tuple[Tensor, Tensor]:
    """Return the error of boxes and of scores, both divided by the number of assigned cells."""
    rows = rows.float()
    grid, stride = cells(size)
    person = assign(boxes, grid, stride)
    found = person >= 0
    batch = torch.arange(len(rows))[:, None].expand_as(person)[found]
    overlap = generalised_iou(decode_boxes(rows, grid, stride)[found], boxes[batch, person[found]])
    count = max(int(found.sum()), 1)
    quality = overlap.detach().clamp(min=0)
    objectness = F.binary_cross_entropy_with_logits(
        rows[..., BOXES], found.float(), reduction="sum"
    )
    named = F.binary_cross_entropy_with_logits(
        rows[..., BOXES + 1][found], quality, reduction="sum"
    )
    return (1 - overlap).sum() / count, (objectness + named) / count


def generalised_iou(first: Tensor, second: Tensor) -> Tensor:  # (n,), -1..1
    """Return intersection over union less the empty share of the hull (Rezatofighi et al., 2019).

    Both are (n, 4): left, top, right, bottom.
    """

    def area(low: Tensor, high: Tensor) -> Tensor:
        return (high - low).clamp(min=0).prod(-1)

    (a, b), (c, d) = first.split(2, -1), second.split(2, -1)
    inner = area(torch.maximum(a, c), torch.minimum(b, d))
    union = area(a, b) + area(c, d) - inner
    hull = area(torch.minimum(a, c), torch.maximum(b, d))
    return inner / union.clamp(min=1e-6) - (hull - union) / hull.clamp(min=1e-6)
