"""Whether what was read looks like people: seen, upright, of one piece, and inside their boxes."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ...types import PoseClip, Size
from ..skeleton.arrangement import stretch
from ..skeleton.joints import BODY_EDGES, PART_JOINTS, VISIBLE
from ..skeleton.stack import HIPS, NECK
from .records import Frame, is_list, is_record
from .units import Tables

_MOST_FAINT = 0.5  # of the points; more are worth a word, since nothing is drawn of them
_NAMED = 4  # people that a note names
_MOST = 0.8  # of the people in all frames who are not upright
_STEEP = 0.8  # cosine from which a direction counts as along an axis
_HEAD, _LEGS = (0, 14, 15, 16, 17), (9, 10, 12, 13)
_LEAST_POINTS = 6  # of a person whose box is compared
_STRETCHED = 2.2  # bones of drawn bodies are up to 1.94 of the shortest tree, seen from the side
_LOOKED_AT = 64  # bodies, evenly from all
_LEAST_ALIKE, _ALIKE = 3, 0.15  # people; of their size, how far a joint of the next one may be
_BESIDE = 0.35  # of the box's side: how far its middle may lie from the middle of the points
_LARGER = 1.6  # times the box's side: how large the person may be
_BOXES = ("bbox", "box", "bounding_box")
_CORNERS = (("x1", "y1", "x2", "y2"), ("xMin", "yMin", "xMax", "yMax"))
_FRACTIONS = 1.5  # boxes with no larger number are in fractions of the canvas


def check_people(clip: PoseClip, notes: list[str]) -> None:
    """Note people of whom nothing will be drawn, and people who are not upright."""
    listed = seen = 0
    there = np.zeros(clip.body.confidence.shape[1], bool)
    inside = there.copy()
    for part in (getattr(clip, name) for name in PART_JOINTS):
        drawn = part.confidence >= VISIBLE
        listed, seen = listed + int((part.confidence > 0).sum()), seen + int(drawn.sum())
        if drawn.any():
            x, y = part.xy[..., 0], part.xy[..., 1]
            within = (x >= 0) & (y >= 0) & (x <= clip.canvas.width) & (y <= clip.canvas.height)
            there |= drawn.any((0, 2))
            inside |= (drawn & within).any((0, 2))
    if not listed:
        notes.append("warning: nobody is seen in any frame: all skeletons are empty")
        return
    faint = 1 - seen / listed
    if faint > _MOST_FAINT:
        notes.append(
            f"warning: {faint:.0%} of the points have a confidence below {VISIBLE:g} and are not "
            "drawn"
        )
    gone = there & ~inside
    if gone.any() and inside.any():  # `check_canvas` tells if it is everybody
        who = ", ".join(map(str, np.flatnonzero(gone)[:_NAMED]))
        notes.append(
            f"warning: {gone.sum()} of {there.sum()} people lie off the canvas in all frames: "
            f"person {who}{', ...' if gone.sum() > _NAMED else ''}"
        )
    _check_upright(clip.body.xy, clip.body.confidence >= VISIBLE, notes)
    _check_order(clip, notes)
    _check_alone(clip, notes)


def _check_order(clip: PoseClip, notes: list[str]) -> None:
    """Note bodies whose bones cross: their points are joints in another order than was taken."""
    whole = (clip.body.confidence >= VISIBLE).sum(2) >= len(BODY_EDGES)
    points = np.concatenate([clip.body.xy, clip.body.confidence[..., None]], -1)[whole]
    ways = stretch(points[:: max(1, len(points) // _LOOKED_AT)], BODY_EDGES)
    long = ways[ways > _STRETCHED]
    if 2 * len(long) > np.count_nonzero(~np.isnan(ways)):
        notes.append(
            f"warning: bones cross the bodies: they are {np.median(long):.1f} times as long as the "
            f"shortest lines through the same points, in people at most {_STRETCHED:g} times; the "
            "file may list its points in another order"
        )


def _check_alone(clip: PoseClip, notes: list[str]) -> None:
    """Note several people of a single frame who stand one inside the other, as a clip's would."""
    seen = (clip.body.confidence[0] >= VISIBLE).all(-1)
    bodies = clip.body.xy[0][seen]
    if len(clip) > 1 or len(bodies) < _LEAST_ALIKE:
        return
    sizes = np.linalg.norm(np.ptp(bodies, axis=1), axis=-1)[:-1]
    steps = np.linalg.norm(np.diff(bodies, axis=0), axis=-1).max(-1)
    if (steps < _ALIKE * sizes).mean() > _MOST:
        notes.append(
            f"warning: {len(bodies)} people of the only frame stand nearly in the same place; if "
            "they are one person in a clip, the file needs a record for each frame"
        )


def _check_upright(
    xy: np.ndarray,  # (f, p, 18, 2)
    seen: np.ndarray,  # (f, p, 18), bool
    notes: list[str],
) -> None:
    """Note people of whom head, hips and legs show that they stand on their heads, or lie."""
    neck, (hips, has_hips) = xy[:, :, NECK], _middle(xy, seen, HIPS)
    head, has_head = _middle(xy, seen, _HEAD)
    legs, has_legs = _middle(xy, seen, _LEGS)
    known = seen[:, :, NECK] & has_hips & (has_head | has_legs)
    if not known.any():
        return
    down = _unit(hips - neck)
    # Who bends down has the head below the hips, but the legs are below it too.
    along = np.where(has_legs[..., None], _unit(legs - hips), _unit(neck - head))
    for axis, sign, text in (
        (1, -1, "stand on their heads in {:.0%} of the frames; if they do not, y points upwards in "
                "the file"),
        (0, 0, "lie on their sides in {:.0%} of the frames; if they do not, x and y are exchanged "
               "in the file, or its picture was turned"),
    ):  # fmt: skip
        first, second = (
            (part[..., axis] * (sign or np.sign(down[..., axis]))) for part in (down, along)
        )
        share = float(((first > _STEEP) & (second > _STEEP))[known].mean())
        if share > _MOST:
            notes.append(f"warning: people {text.format(share)}")


def check_boxes(
    tables: Tables,  # pixels of each frame's canvas
    places: Sequence[Sequence[int]],  # of each frame and person: its index in the tables
    frames: list[Frame],
    canvases: list[Size],
    notes: list[str],
) -> None:
    """Note people who lie elsewhere than the boxes that the file gives for them."""
    odd = known = 0
    for number, (frame, canvas) in enumerate(zip(frames, canvases, strict=True)):
        for place, person in zip(places[number], frame.people, strict=True):
            boxes = list(_boxes(person, canvas))
            body = tables["body"][number, place]
            xy = body[body[:, 2] > 0, :2]
            if boxes and len(xy) >= _LEAST_POINTS:
                known += 1
                odd += not any(_fits(xy, box) for box in boxes)
    if 2 * odd > known:
        notes.append(
            f"warning: {odd} of {known} people lie outside of the boxes that the file gives for "
            "them; their points may be relative to the boxes. Export them relative to the picture"
        )


def _boxes(person: Any, canvas: Size) -> Iterator[np.ndarray]:  # noqa: ANN401  (a JSON value)
    """Yield what a person's box may be, as left, top, right, bottom in pixels."""
    box = next((person[name] for name in _BOXES if person.get(name) is not None), None)
    if is_record(box):
        names = next((names for names in _CORNERS if all(name in box for name in names)), ())
        box = [box[name] for name in names]
    while is_list(box) and len(box) == 1:
        box = box[0]
    if not is_list(box) or not 4 <= len(box) <= 5:
        return
    try:
        sides = np.array(box[:4], np.float64)
    except (TypeError, ValueError):
        return
    if not np.isfinite(sides).all():
        return
    if np.abs(sides).max() <= _FRACTIONS:
        sides *= (canvas.width, canvas.height) * 2
    for corners in (sides, np.concatenate([sides[:2], sides[:2] + sides[2:]])):
        if (corners[2:] > corners[:2]).all():
            yield corners


def _fits(xy: np.ndarray, box: np.ndarray) -> bool:  # (n, 2); (4,)
    low, high = xy.min(0), xy.max(0)
    size = box[2:] - box[:2]
    away = np.abs((low + high) / 2 - (box[:2] + box[2:]) / 2)
    return bool((away <= _BESIDE * size).all() and (high - low <= _LARGER * size).all())


def _middle(
    xy: np.ndarray, seen: np.ndarray, joints: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray]:  # (f, p, 2), and (f, p) whether one of the joints is seen
    there = seen[..., list(joints)]
    total = (xy[..., list(joints), :] * there[..., None]).sum(2)
    count = there.sum(2)
    return total / np.maximum(count, 1)[..., None], count > 0


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9)
