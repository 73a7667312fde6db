"""Which bones of the reference are really short, and which only point at the viewer.

A bone can look shorter than it is, never longer. Each part is judged by what shares its
foreshortening: the segments of a limb by each other, the widths of shoulders and hips by each other
and by the direction of the face. The torso is no measure of limbs, nor the legs of shoulders: a
child's legs are short and not hidden.
"""

import math

import numpy as np

from .bones import FACE, FACE_NOSE, NOSE, Figure

UNREADABLE_WIDTH = 0.35  # shoulder width over spine; less may mean a side view
UNREADABLE_HIPS = 0.17  # hip width over spine in a side view
UNREADABLE_TURN = 0.4  # share of a width that a turned body shows; less measures nothing
FACING = 0.93  # share of its widths that a body shows at least if the face looks at the viewer

# (bone, related bone, tolerance): if the bone's ratio is lower than that of the related bone, it
# is probably foreshortened in the reference, and its measurement gets less weight. The tolerance
# is the difference of log ratios at which the weight is 1/e.
_RELATED = (
    ("thigh", "shin", 0.25),
    ("shin", "thigh", 0.25),
    ("upper_arm", "forearm", 0.25),
    ("forearm", "upper_arm", 0.25),
    ("hand", "forearm", 0.4),
)
# If one segment of the arms is shorter by this difference of log ratios, the arms point at the
# viewer, so that the other segment is foreshortened too. Then the torso says how long arms are,
# unless they are shorter by the second difference.
_POINTING, _LONGEST_LIFT = 0.4, 0.45
_WIDTHS = ("shoulder", "hip")
_LIMBS = ("upper_arm", "forearm", "thigh", "shin")
_RIGHT_EAR, _LEFT_EAR = 16, 17
_NOSE_DEPTH = 1.05  # distance of the nose from the line between the ears, over half that line


def corrected(
    pooled: dict[str, float],  # log ratios of lengths, reference over driver
    sizes: dict[str, tuple[float, float]],  # lengths in pixels: driver's, reference's
    reference: Figure,  # one frame
) -> dict[str, float]:
    """Return log ratios, corrected for bones that seem to be foreshortened in the reference."""
    logs = dict(pooled)
    for kind, related, tolerance in _RELATED:
        if kind in pooled and related in pooled:
            short = min(pooled[kind] - pooled[related], 0.0)
            kept = short * math.exp(-((short / tolerance) ** 4))
            logs[kind] = max(logs[kind], pooled[related] + kept)
    _lift_pointing_arms(logs, pooled)
    widths = [kind for kind in _WIDTHS if kind in pooled]
    limbs = [logs[kind] for kind in _LIMBS if kind in logs]
    base = pooled.get("spine", float(np.mean(limbs)) if limbs else None)
    if base is None or not widths:
        return logs
    wider = max(pooled[kind] for kind in widths) - base
    trust = FACING if "spine" in pooled else 1.0  # limbs say less about widths than a torso
    left = turned_width(wider, reference, trust)
    for kind in widths:
        if left < UNREADABLE_TURN or _driver_from_the_side(sizes):
            del logs[kind]
        else:
            logs[kind] -= math.log(left)
    return logs


def _lift_pointing_arms(logs: dict[str, float], pooled: dict[str, float]) -> None:
    """Lengthen arms that point at the viewer towards the ratio of the torso."""
    if not {"spine", "upper_arm", "forearm"} <= set(pooled):
        return
    apart = pooled["upper_arm"] - pooled["forearm"]
    pointing = -math.expm1(-((apart / _POINTING) ** 4))
    short = max(pooled["spine"] - max(logs["upper_arm"], logs["forearm"]), 0.0)
    lift = pointing * short * math.exp(-((short / _LONGEST_LIFT) ** 4))
    logs["upper_arm"] += lift
    logs["forearm"] += lift


def turned_width(
    wider: float,  # log ratio of the wider of shoulders and hips, less that of the torso
    reference: Figure,  # one frame
    trust: float = FACING,  # share that a face that looks at the viewer answers for
) -> float:  # 0..1
    """Return the share of the reference's widths that is left if its body is turned.

    A turned body narrows shoulders and hips alike, and its face turns with it. So if one of the
    widths is not narrow, or the face looks at the viewer, narrow shoulders are the body's own.
    Since a face may look at the viewer from a turned body, it answers for most of a width only.
    """
    share = min(1.0, math.exp(wider))
    facing = facing_share(reference)
    return share if facing is None else max(share, trust * facing)


def facing_share(
    reference: Figure,  # one frame
) -> float | None:  # 0..1
    """Return the cosine of the head's turn away from the viewer; None if it is not seen."""
    xy, seen = reference.xy[0], reference.seen[0]
    for nose, right, left in (
        (NOSE, _RIGHT_EAR, _LEFT_EAR),
        (FACE_NOSE, FACE.start, FACE.start + 16),
    ):
        if seen[[nose, right, left]].all():
            half = (xy[left] - xy[right]) / 2
            width = float(np.hypot(*half))
            if width < 1e-6:
                return 0.0
            offset = abs(float((xy[nose] - (xy[left] + xy[right]) / 2) @ half)) / width
            return math.cos(math.atan2(offset, _NOSE_DEPTH * width))
    if seen[NOSE] and seen[[_RIGHT_EAR, _LEFT_EAR]].any():
        return 0.0  # the other ear is hidden behind the head
    return None


def _driver_from_the_side(sizes: dict[str, tuple[float, float]]) -> bool:
    """Return whether the driver is too narrow to measure widths."""
    if "spine" not in sizes or "shoulder" not in sizes:
        return False
    spine = sizes["spine"][0]
    narrow = 2 * sizes["shoulder"][0] < UNREADABLE_WIDTH * spine
    return narrow and ("hip" not in sizes or 2 * sizes["hip"][0] < UNREADABLE_HIPS * spine)
