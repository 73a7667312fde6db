"""Metrics that compare the skeletons of generated frames with the driving ones."""

import numpy as np

from ...errors import InputError
from ...pose.skeleton.joints import BODY_JOINTS, VISIBLE
from ...pose.skeleton.stack import SLICES, boxes, stack, torso_px
from ...types import PoseClip

# COCO's per-keypoint standard deviations as shares of the root of the area (cocoeval). COCO has no
# neck, so it has no value.
OKS_SIGMAS = {
    "nose": 0.026,
    "eye": 0.025,
    "ear": 0.035,
    "shoulder": 0.079,
    "elbow": 0.072,
    "wrist": 0.062,
    "hip": 0.107,
    "knee": 0.087,
    "ankle": 0.089,
}
COCO_JOINTS = tuple(i for i, name in enumerate(BODY_JOINTS) if name != "neck")
_SIGMAS = np.array([OKS_SIGMAS[BODY_JOINTS[i].split("_")[-1]] for i in COCO_JOINTS])

assert len(COCO_JOINTS) == 17


def pck(
    clip: PoseClip,  # found in generated frames
    truth: PoseClip,  # of the same canvas, length and order of people
    threshold: float = 0.1,  # of the torso
) -> float:
    """Return the share of the truth's visible body joints that the clip has within a distance.

    PCK of Yang and Ramanan 2013 over all 18 joints. The unit is the person's torso length: the 90th
    percentile over the clip of the distance from neck to the middle of the hips. Joints that the
    clip misses count as wrong; joints and people that only the clip has do not count.
    """
    if not threshold > 0:
        raise InputError(f"threshold got {threshold}; it must be above 0. 0.1 is usual.")
    distance, visible = _distances(clip, truth)
    reach = threshold * torso_px(truth, stack(truth))[None, :, None]
    return float((distance <= reach)[visible].mean())


def pose_error(
    clip: PoseClip,  # found in generated frames
    truth: PoseClip,  # of the same canvas, length and order of people
) -> float:
    """Return the mean distance of the truth's visible body joints, in torso lengths, 0..1.

    The torso length is defined as in `pck`. A joint that the clip misses, or that is more than one
    torso away, counts as one torso.
    """
    distance, visible = _distances(clip, truth)
    torsos = distance / torso_px(truth, stack(truth))[None, :, None]
    return float(np.minimum(torsos, 1)[visible].mean())


def oks(
    clip: PoseClip,  # found in generated frames
    truth: PoseClip,  # of the same canvas, length and order of people
) -> float:
    """Return COCO's object keypoint similarity, 0..1, averaged over frames and people.

    For one person in one frame it is the mean of exp(-d^2 / (2 area (2 sigma)^2)) over the truth's
    visible joints (17, no neck). The area is that of the box around these joints, not of COCO's
    segment. Joints that the clip misses give 0; people with an empty box are left out.
    """
    distance, visible = _distances(clip, truth)
    distance, visible = distance[..., COCO_JOINTS], visible[..., COCO_JOINTS]
    left, top, right, bottom = np.moveaxis(boxes(truth.body.xy[:, :, COCO_JOINTS], visible), -1, 0)
    area = (right - left) * (bottom - top)
    measured = area > 0  # False for NaN: nothing visible
    if not measured.any():
        raise InputError(
            "truth got no person with an extent in any frame; two visible joints that differ in "
            "x and y are needed. Measure another clip."
        )
    distance, visible = distance[measured], visible[measured]
    similarity = np.exp(-(distance**2) / (2 * area[measured, None] * (2 * _SIGMAS) ** 2))
    return float(((similarity * visible).sum(-1) / visible.sum(-1)).mean())


def _distances(
    clip: PoseClip, truth: PoseClip
) -> tuple[np.ndarray, np.ndarray]:  # (f, p, 18) pixels, infinite where the clip misses; and bool
    """Return the distances of the clip's body joints from the truth's, and which are visible."""
    distance, visible = distances(clip, truth, SLICES["body"])
    if not visible.any():
        raise InputError(
            f"truth got no body joint with confidence {VISIBLE} or more; some are needed. "
            "Measure another clip."
        )
    return distance, visible


def distances(
    clip: PoseClip,  # found in generated frames
    truth: PoseClip,  # of the same canvas, length and order of people
    where: slice,  # of SLICES
) -> tuple[np.ndarray, np.ndarray]:  # (f, p, j) pixels, infinite where the clip misses; and bool
    """Return the distances of the clip's points from the truth's, and which of these are visible.

    InputError if the clips do not belong together.
    """
    if len(clip) != len(truth) or clip.canvas != truth.canvas:
        raise InputError(
            f"clip got {len(clip)} frames of {clip.canvas} and truth {len(truth)} of "
            f"{truth.canvas}; they must be the same. Extract both at one size and length."
        )
    found, true = stack(clip), stack(truth)
    visible = true.seen[:, :, where]
    distance = np.full(visible.shape, np.inf)
    people = min(visible.shape[1], found.seen.shape[1])
    gap = np.linalg.norm(found.xy[:, :people, where] - true.xy[:, :people, where], axis=-1)
    distance[:, :people] = np.where(found.seen[:, :people, where], gap, np.inf)
    return distance, visible
