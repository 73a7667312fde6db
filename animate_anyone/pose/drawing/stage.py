"""The data that the page needs to show skeletons over a picture, in a compact form."""

import base64
from typing import Any

import numpy as np

from ...fitting import placement
from ...types import Flag, PoseClip, Size
from ..skeleton.joints import (
    BODY_EDGES,
    BODY_JOINTS,
    COLOURS,
    FACE_COLOUR,
    HAND_COLOURS,
    HAND_EDGES,
    HAND_JOINT_COLOUR,
    PART_JOINTS,
)
from ..skeleton.stack import POINTS, SLICES, Stack, stack
from .draw import FOOT_COLOURS, FOOT_EDGES, LIMB_COLOURS

VERSION = 2
GUESSED = Flag.FILLED | Flag.HELD  # marked by the page
REACH = 2.0  # largest coordinate, in lengths of the canvas's longer side
_BODY = SLICES["body"]


def stage_payload(
    result: PoseClip,  # before corrections by hand, which the page applies itself
    *,
    driver: PoseClip | None = None,  # the clip from which the result was retargeted
    reference: PoseClip | None = None,  # whose proportions the result has; its first frame is shown
    report: dict[str, Any] | None = None,  # of RetargetReport.data
    notes: tuple[str, ...] = (),
    corrections: str = "",  # text used in this run, so that the page detects later changes
) -> dict[str, Any]:
    """Return a record for JSON, about 0.9 kB per frame and person with the driver.

    1,000 frames of two people with hands and face take less than 2 MB; those of three people more.

    Coordinates are int16 in steps of `step` pixels. `seen` and `guessed` hold one bit per point:
    whether it is visible, and whether it was filled or held. All arrays are base64, little-endian,
    in the order frames, people, points, x and y. `parts` lists the range of each part's points. The
    driver has only the body, fitted to the result's canvas.
    """
    points = stack(result)
    step = REACH * max(result.canvas.width, result.canvas.height) / 32_767
    payload = {
        "version": VERSION,
        "canvas": [result.canvas.width, result.canvas.height],
        "frames": len(result),
        "people": points.xy.shape[1],
        "points": POINTS,
        "parts": {part: [where.start, where.stop] for part, where in SLICES.items()},
        "step": step,
        "skeleton": skeleton(),
        "result": _packed(points.xy, points.seen, step),
        "missing": _missing(points),
        "report": report,
        "notes": list(notes),
        "corrections": corrections,
    }
    guessed = (points.flags & GUESSED) > 0
    if guessed.any():
        payload["guessed"] = _bits(guessed)
    if driver is not None and len(driver):
        payload["driver"] = _layer(driver, result.canvas, step, _BODY)
    if reference is not None and len(reference):
        payload["reference"] = _layer(reference.at(slice(0, 1)), result.canvas, step, None)
    return payload


def skeleton() -> dict[str, Any]:
    """Return edges and colours for all points, so that the page needs no tables of its own."""
    edges = [[a, b, *colour] for (a, b), colour in zip(BODY_EDGES, LIMB_COLOURS, strict=True)]
    for part in ("left_hand", "right_hand"):
        start = SLICES[part].start
        pairs = zip(HAND_EDGES, HAND_COLOURS, strict=True)
        edges += [[a + start, b + start, *colour] for (a, b), colour in pairs]
    feet = SLICES["feet"].start - PART_JOINTS["body"]
    for (a, b), colour in zip(FOOT_EDGES, FOOT_COLOURS, strict=True):
        edges.append([a, b + feet, *colour])
    joints = [list(colour) for colour in COLOURS]
    joints += [list(HAND_JOINT_COLOUR)] * (2 * PART_JOINTS["left_hand"])
    joints += [list(FACE_COLOUR)] * PART_JOINTS["face"]
    joints += [list(colour) for colour in FOOT_COLOURS]
    return {"edges": edges, "joints": joints, "names": list(BODY_JOINTS)}


def _layer(clip: PoseClip, canvas: Size, step: float, where: slice | None) -> dict[str, Any]:
    points = stack(clip)
    scale, left, top = placement(clip.canvas, canvas)
    chosen = where or slice(None)
    xy = points.xy[:, :, chosen] * scale + (left, top)
    packed = _packed(xy, points.seen[:, :, chosen], step)
    return packed | {"frames": len(clip), "people": xy.shape[1], "points": xy.shape[2]}


def _packed(xy: np.ndarray, seen: np.ndarray, step: float) -> dict[str, str]:
    steps = np.rint(xy / step).clip(-32_767, 32_767).astype("<i2")
    return {"xy": _base64(steps), "seen": _bits(seen)}


def _bits(values: np.ndarray) -> str:
    return _base64(np.packbits(values, bitorder="little"))


def _base64(values: np.ndarray) -> str:  # uint8 or <i2
    return base64.b64encode(np.ascontiguousarray(values).tobytes()).decode("ascii")


def _missing(points: Stack) -> dict[str, float]:
    """Return the share of points that are not seen, by part; 1 without people."""
    return {
        part: float(1 - points.seen[:, :, where].mean()) if points.seen.size else 1.0
        for part, where in SLICES.items()
    }
