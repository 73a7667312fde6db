"""Drawing skeletons in the style on which the public weights were trained.

RGB on a black canvas: all limbs at 0.6 of their colour, then joints, hands and face at full colour.
Line widths are defined for a short side of 512 pixels and scale with the canvas. Smaller pictures
are drawn several times larger in whole pixels and averaged down, so they look like a resized
skeleton video.
"""

import math
from collections.abc import Sequence

import numpy as np

from ... import opencv as cv2
from ...errors import InputError
from ...fitting import placement
from ...types import Points, PoseClip, Size
from ..skeleton.joints import (
    BODY_EDGES,
    COLOURS,
    FACE_COLOUR,
    HAND_COLOURS,
    HAND_EDGES,
    HAND_JOINT_COLOUR,
    LARGEST_PX,
    VISIBLE,
    Colour,
)

SHORT_SIDE_PX = 512  # at which the radii below hold
LIMB_RADIUS_PX = 4
JOINT_RADIUS_PX = 4
HAND_LINE_PX = 2
FACE_RADIUS_PX = 3

# In training, the canvas was darkened after the limbs were drawn. At that point, it holds only
# limbs, so they can be drawn in the darkened colour directly.
LIMB_COLOURS: tuple[Colour, ...] = tuple(
    (red * 6 // 10, green * 6 // 10, blue * 6 // 10)
    for red, green, blue in COLOURS[: len(BODY_EDGES)]
)
# Feet continue the shins. They follow the 18 joints of the body: left toes and heel, then right.
FOOT_EDGES = ((13, 18), (13, 19), (13, 20), (10, 21), (10, 22), (10, 23))
FOOT_COLOURS = tuple(
    LIMB_COLOURS[BODY_EDGES.index((knee, ankle))]
    for knee, ankle in ((12, 13), (9, 10))
    for _ in range(3)
)
_FARTHEST_PX = 30_000  # OpenCV's polygons overflow beyond 32767
_DRAWN_PX = 8_192  # longest side of a picture that is drawn larger and averaged down

_Fit = tuple[float, float, float]  # scale, left, top
_Joints = list[tuple[float, float, float] | None]  # x, y, brightness 0..1; None: not seen


def draw_pose(
    clip: PoseClip,
    size: Size | None = None,  # None: the clip's own canvas
    *,
    body: bool = True,
    hands: bool = True,
    face: bool = True,
    feet: bool = False,  # the public weights never saw any
    frames: Sequence[int] | None = None,  # None: all
    fixed_width: bool = False,  # use the line widths of a 512-pixel canvas at any size
    dimmed: bool = False,  # the less confident a point, the darker it is
) -> np.ndarray:  # (f, H, W, 3) uint8 RGB
    """Return pictures of a clip's frames, scaled evenly and centred in `size`."""
    chosen = range(len(clip)) if frames is None else frames
    size = size or clip.canvas
    _check_size(size)
    result = np.empty((len(chosen), size.height, size.width, 3), np.uint8)
    for row, frame in enumerate(chosen):
        result[row] = draw_frame(
            clip,
            frame,
            size,
            body=body,
            hands=hands,
            face=face,
            feet=feet,
            fixed_width=fixed_width,
            dimmed=dimmed,
        )
    return result


def draw_frame(
    clip: PoseClip,
    frame: int,
    size: Size | None = None,  # None: the clip's own canvas
    *,
    body: bool = True,
    hands: bool = True,
    face: bool = True,
    feet: bool = False,  # the public weights never saw any
    fixed_width: bool = False,  # use the line widths of a 512-pixel canvas at any size
    dimmed: bool = False,  # the less confident a point, the darker it is
) -> np.ndarray:  # (H, W, 3) uint8 RGB
    """Return a picture of one frame of a clip, scaled evenly and centred in `size`.

    Dimmed, a point's colour is multiplied by its confidence, and a limb's by those of both ends, as
    in MimicMotion (arXiv 2406.19680, section 3). Only weights that were trained on such pictures
    know them; presets say which (`dimmed_poses`).
    """
    if not 0 <= frame < len(clip):
        raise InputError(
            f"frame got {frame}; the clip has frames 0 to {len(clip) - 1}. Choose one of them."
        )
    size = size or clip.canvas
    _check_size(size)
    factor, stroke = (1, 1.0) if fixed_width else _enlarged(size)
    large = Size(size.width * factor, size.height * factor)
    canvas = np.zeros((large.height, large.width, 3), np.uint8)
    place = placement(clip.canvas, large)
    people = range(clip.body.xy.shape[1])

    def placed(points: Points, person: int) -> _Joints:
        return _placed(points, frame, person, place, dimmed=dimmed)

    bodies = [placed(clip.body, person) for person in people]
    drawn = list(bodies)
    if body:
        _draw_limbs(canvas, bodies, BODY_EDGES, LIMB_COLOURS, stroke)
    if feet:
        points = [placed(clip.feet, person) for person in people]
        legs = [[*joints, *foot] for joints, foot in zip(bodies, points, strict=True)]
        drawn += points
        _draw_limbs(canvas, legs, FOOT_EDGES, FOOT_COLOURS, stroke)
    if body:
        for joint, colour in enumerate(COLOURS):
            seen = [joints[joint] for joints in bodies]
            _draw_discs(canvas, seen, JOINT_RADIUS_PX * stroke, colour)
    if hands:
        parts = (clip.left_hand, clip.right_hand)
        joints = [placed(part, person) for person in people for part in parts]
        drawn += joints
        for hand in joints:
            _draw_hand(canvas, hand, stroke)
    if face:
        faces = [placed(clip.face, person) for person in people]
        drawn += faces
        for points in faces:
            _draw_discs(canvas, _inside(points), FACE_RADIUS_PX * stroke, FACE_COLOUR)
    return canvas if factor == 1 else _shrink(canvas, drawn, factor, size)


def _check_size(size: Size) -> None:
    if not 1 <= min(size.width, size.height) <= max(size.width, size.height) <= LARGEST_PX:
        raise InputError(
            f"size got {size.width} x {size.height}; both sides must lie within 1 and "
            f"{LARGEST_PX} pixels. Choose a smaller one."
        )


def _enlarged(size: Size) -> tuple[int, float]:
    """Return by which factor to draw larger, and the line width there relative to 512 pixels."""
    short, long = sorted((size.width, size.height))
    factor = max(1, min(math.ceil(SHORT_SIDE_PX / short), _DRAWN_PX // long))
    return factor, factor * short / SHORT_SIDE_PX


def _placed(points: Points, frame: int, person: int, place: _Fit, *, dimmed: bool) -> _Joints:
    scale, left, top = place
    seen = (points.confidence[frame, person] >= VISIBLE).tolist()
    if not any(seen):
        return [None] * len(seen)
    xy = points.xy[frame, person] * scale + (left, top)
    xy = np.nan_to_num(xy).clip(-_FARTHEST_PX, _FARTHEST_PX).tolist()
    light = points.confidence[frame, person].clip(0, 1).tolist() if dimmed else [1.0] * len(seen)
    return [(x, y, v) if s else None for (x, y), v, s in zip(xy, light, seen, strict=True)]


def _dimmed(colour: Colour, light: float) -> Colour:
    """Return the colour at a brightness of 0..1; at 1 it stays as it is."""
    if light == 1:
        return colour
    red, green, blue = (round(level * light) for level in colour)
    return red, green, blue


def _draw_limbs(
    canvas: np.ndarray,
    people: Sequence[_Joints],
    edges: Sequence[tuple[int, int]],
    colours: Sequence[Colour],
    stroke: float,
) -> None:
    radius = max(1, round(LIMB_RADIUS_PX * stroke))
    for (start, end), colour in zip(edges, colours, strict=True):
        for joints in people:
            a, b = joints[start], joints[end]
            if a is None or b is None:
                continue
            # Truncation, not rounding, throughout: the weights were trained on exactly this.
            centre = (int((a[0] + b[0]) / 2), int((a[1] + b[1]) / 2))
            axes = (int(math.dist(a[:2], b[:2]) / 2), radius)
            angle = int(math.degrees(math.atan2(a[1] - b[1], a[0] - b[0])))
            polygon = np.asarray(cv2.ellipse2Poly(centre, axes, angle, 0, 360, 1))
            cv2.fillConvexPoly(canvas, polygon, _dimmed(colour, a[2] * b[2]))


def _draw_hand(canvas: np.ndarray, joints: _Joints, stroke: float) -> None:
    joints = _inside(joints)
    width = max(1, round(HAND_LINE_PX * stroke))
    for (start, end), colour in zip(HAND_EDGES, HAND_COLOURS, strict=True):
        a, b = joints[start], joints[end]
        if a is not None and b is not None:
            ends = (int(a[0]), int(a[1])), (int(b[0]), int(b[1]))
            cv2.line(canvas, *ends, _dimmed(colour, a[2] * b[2]), width)
    _draw_discs(canvas, joints, JOINT_RADIUS_PX * stroke, HAND_JOINT_COLOUR)


def _draw_discs(canvas: np.ndarray, joints: _Joints, radius: float, colour: Colour) -> None:
    for joint in joints:
        if joint is not None:
            centre = (int(joint[0]), int(joint[1]))
            cv2.circle(canvas, centre, max(1, round(radius)), _dimmed(colour, joint[2]), -1)


def _inside(joints: _Joints) -> _Joints:
    """Drop points on or beyond the left and upper border, as in training for hands and faces."""
    return [joint if joint and joint[0] >= 1 and joint[1] >= 1 else None for joint in joints]


def _shrink(canvas: np.ndarray, drawn: Sequence[_Joints], factor: int, size: Size) -> np.ndarray:
    """Average squares of `factor` pixels, only where something was drawn, to save time."""
    result = np.zeros((size.height, size.width, 3), np.uint8)
    seen = [joint for joints in drawn for joint in joints if joint is not None]
    if not seen:
        return result
    xs, ys, _ = zip(*seen, strict=True)
    margin = 2 * JOINT_RADIUS_PX * max(1.0, min(canvas.shape[:2]) / SHORT_SIDE_PX) + factor
    left = max(0, int((min(xs) - margin) / factor))
    top = max(0, int((min(ys) - margin) / factor))
    right = min(size.width, math.ceil((max(xs) + margin) / factor))
    bottom = min(size.height, math.ceil((max(ys) + margin) / factor))
    if left < right and top < bottom:
        part = canvas[top * factor : bottom * factor, left * factor : right * factor]
        shape = (right - left, bottom - top)
        result[top:bottom, left:right] = cv2.resize(part, shape, interpolation=cv2.INTER_AREA)
    return result
