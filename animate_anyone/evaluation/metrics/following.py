"""Measure whether a clip moves where its skeleton moves; no true frames are needed."""

from torch import Tensor
from torch.nn import functional

from ...errors import InputError
from .frames import intersection_over_union


def moved_region(
    values: Tensor,  # (f, c, H, W)
    threshold: float,
) -> Tensor:  # (f, H, W), bool
    """Return where each frame differs from the clip's own median by more than a threshold."""
    return (values - values.median(0).values).abs().amax(1) > threshold


def following(
    result: Tensor,  # (f, 3, H, W), 0..1
    poses: Tensor,  # (f, 3, H, W), 0..1: skeletons on black
    *,
    reach: float = 0.035,  # limb radius around the skeleton as a share of the height
    threshold: float = 0.1,
) -> dict[str, float]:
    """Return the overlap of the moving regions of the result and of the skeletons.

    Skeletons are thickened to limbs first. `iou` compares each frame with its own skeleton.
    `iou_other_time` compares it with the skeleton half a clip away; a figure that does not follow
    the skeletons reaches this value too.
    """
    if result.shape != poses.shape or len(result) < 2:
        raise InputError(
            f"result got shape {tuple(result.shape)} and poses {tuple(poses.shape)}; both must be "
            "the same clip of two or more frames. Fit the skeletons to the result's size."
        )
    radius = max(1, round(reach * result.shape[2]))
    skeleton = (poses.amax(1, keepdim=True) > 0.1).float()
    limbs = functional.max_pool2d(skeleton, 2 * radius + 1, 1, radius)
    shown, wanted = moved_region(result, threshold), moved_region(limbs, 0.5)
    other = wanted.roll(len(wanted) // 2, 0)
    return {
        "iou": float(intersection_over_union(shown, wanted).mean()),
        "iou_other_time": float(intersection_over_union(shown, other).mean()),
        "skeleton_covered": _covered(shown, wanted, skeleton[:, 0] > 0),
    }


def _covered(shown: Tensor, wanted: Tensor, skeleton: Tensor) -> float:
    """Return the share of moving skeleton pixels at which the result moves too."""
    moving = wanted & skeleton
    return float((shown & moving).sum() / moving.sum().clamp(min=1))
