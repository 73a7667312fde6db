"""Rebuilding the driver with new bone lengths, and placing it on the reference.

The root, whose motion is kept, and the anchor, which is placed on the reference's, can be
different joints: the pelvis moves in proportion to the legs, but a half-length portrait shows no
pelvis and must be aligned at the neck.
"""

import math
from dataclasses import dataclass

import numpy as np

from ..skeleton.joints import BODY_JOINTS
from .bones import (
    ANKLES,
    FACE,
    HIPS,
    LEFT_HAND,
    LEFT_WRIST,
    NECK,
    NODE_NAMES,
    NODES,
    NOSE,
    PELVIS,
    RIGHT_HAND,
    RIGHT_WRIST,
    SHOULDERS,
    Figure,
    joints_over_time,
    paths_from,
)
from .ratios import Match, Ratios

_ANCHORS: dict[str, tuple[int, ...]] = {  # in the order of preference
    "pelvis": (PELVIS,),
    "neck": (NECK,),
    "nose": (NOSE,),
    "shoulders": SHOULDERS,
    "feet": ANKLES,
    **{name: (joint,) for joint, name in enumerate(BODY_JOINTS) if joint not in (NOSE, NECK)},
}
ANCHORS = ("auto", *_ANCHORS)
_ALL = "all joints"
_ROOTS = (PELVIS, NECK, NOSE)
_RIGHT_ARM, _LEFT_ARM = (RIGHT_WRIST, 3, 2, NECK), (LEFT_WRIST, 6, 5, NECK)


@dataclass(frozen=True, kw_only=True)
class Placement:
    """Person 0, placed on the reference."""

    xy: np.ndarray  # (f, 135, 2)
    joints: np.ndarray  # (f, NODES, 2), also where they are not seen; NaN: never seen
    frame: int  # in which the anchor lies on the reference's anchor
    root: str  # joint whose motion is kept
    anchor: str  # joint that is placed on the reference's
    scale: float
    before: np.ndarray  # (2,) root in that frame, driver's canvas
    after: np.ndarray  # (2,) the same, reference's canvas

    def follow(self, xy: np.ndarray) -> np.ndarray:
        """Return points of other people, moved by the global scale and the same shift."""
        return self.after + self.scale * (xy - self.before)


def place(
    driver: Figure,
    reference: Figure,  # one frame
    ratios: Ratios,
    *,
    frame: int | None,  # None: chosen here
    anchor: str,  # one of ANCHORS
    locks: tuple[bool, bool],  # keep the root fixed in x, in y
) -> Placement:
    """Return the driver rebuilt with other bone lengths. Both figures must show a joint."""
    nodes = joints_over_time(driver)
    present = np.isfinite(nodes[0, :, 0])
    most_seen = int(np.argmax(np.where(present, driver.seen[:, :NODES].sum(0), -1)))
    root = next((node for node in _ROOTS if present[node]), most_seen)
    if frame is None:
        frame = _placement_frame(ratios.match, driver.seen[:, root])
    travel = (nodes[:, root] - nodes[frame, root]) * np.logical_not(locks)
    built = np.full(nodes.shape, np.nan)
    built[:, root] = ratios.legs * travel
    for parent, child, kinds in paths_from(root, present):
        ratio = math.prod(ratios.ratios[kind] for kind in kinds) ** (1 / len(kinds))
        built[:, child] = built[:, parent] + ratio * (nodes[:, child] - nodes[:, parent])
    used, shift = _shift(driver, reference, built, frame, anchor)
    built += shift
    return Placement(
        xy=_with_parts(driver, nodes, built, root, ratios),
        joints=built,
        frame=frame,
        root=NODE_NAMES[root],
        anchor=used,
        scale=ratios.scale,
        before=nodes[frame, root],
        after=built[frame, root],
    )


def _placement_frame(match: Match, root_seen: np.ndarray) -> int:
    if match.frame is not None and match.alpha > 0.5:
        return match.frame
    return int(np.argmax(root_seen))


def _shift(
    driver: Figure,
    reference: Figure,
    built: np.ndarray,  # (f, NODES, 2)
    frame: int,
    anchor: str,
) -> tuple[str, np.ndarray]:
    """Return the anchor and its shift; prefer joints that the driver shows in this frame."""
    target = joints_over_time(reference)[0]
    both = np.isfinite(built[frame, :, 0]) & np.isfinite(target[:, 0])
    now = both & driver.seen[frame, :NODES]
    tries = [(name, mask) for mask in (now, both) for name in _ANCHORS]
    if anchor != "auto":
        tries.insert(0, (anchor, both))
    for name, mask in tries:
        joints = list(_ANCHORS[name])
        if mask[joints].all():
            return name, target[joints].mean(0) - built[frame, joints].mean(0)
    return _ALL, np.nanmean(target, 0) - np.nanmean(built[frame], 0)


def _with_parts(
    driver: Figure, nodes: np.ndarray, built: np.ndarray, root: int, ratios: Ratios
) -> np.ndarray:  # (f, 135, 2)
    """Return all points: the rebuilt joints, with unseen ones, hands and face attached to them."""
    result = np.empty(driver.xy.shape)
    known = np.isfinite(nodes[..., :1])
    base = np.where(known, nodes, nodes[:, root, None])
    moved = np.where(known, built, built[:, root, None])
    seen = driver.seen[:, :NODES, None]
    faint = moved + ratios.scale * (driver.xy[:, :NODES] - base)
    result[:, :NODES] = np.where(seen, moved, faint)
    supports = [
        next((node for node in chain if known[0, node, 0]), root)
        for chain in (_RIGHT_ARM, _LEFT_ARM, (NOSE, NECK))
    ]
    right, left, nose = supports
    face = driver.xy[:, FACE] - nodes[:, nose, None]
    result[:, FACE] = built[:, nose, None] + ratios.ratios["head"] * face
    for hand, own, other in ((RIGHT_HAND, right, left), (LEFT_HAND, left, right)):
        wrist, wrist_built = _nearest_wrist(driver, hand, nodes, built, own, other)
        offset = driver.xy[:, hand] - wrist[:, None]
        result[:, hand] = wrist_built[:, None] + ratios.ratios["hand"] * offset
    return result


def _nearest_wrist(
    driver: Figure, hand: slice, nodes: np.ndarray, built: np.ndarray, own: int, other: int
) -> tuple[np.ndarray, np.ndarray]:  # each (f, 2)
    """Return the wrist nearest to the hand, before and after; hand labels are often swapped."""
    seen = driver.seen[:, hand, None]
    middle = (driver.xy[:, hand] * seen).sum(1) / np.maximum(seen.sum(1), 1)
    start = np.where(seen[:, 0], driver.xy[:, hand.start], middle)
    to_own = np.linalg.norm(start - nodes[:, own], axis=-1)
    to_other = np.linalg.norm(start - nodes[:, other], axis=-1)
    swapped = (to_other < to_own)[:, None]
    return (
        np.where(swapped, nodes[:, other], nodes[:, own]),
        np.where(swapped, built[:, other], built[:, own]),
    )


def joints_of_anchor(name: str) -> list[int]:
    """Return the body joints whose middle is the anchor of this name."""
    return list(HIPS) if name == "pelvis" else list(_ANCHORS[name])
