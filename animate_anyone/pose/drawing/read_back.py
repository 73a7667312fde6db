"""Reading keypoints from a clip of drawn skeletons, by their colours.

The colours of joints and limbs are spaced by 20 degrees of hue. Joints are discs at full
brightness; limbs lie below them at 0.6 of it. A joint that is hidden by the points of a face, by a
hand or by another joint is estimated from the ends of its limbs.

Hands and faces are not read: their points share colours and overlap at the usual sizes, so most
of them would be guesses.
"""

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from ... import opencv as cv2
from ...errors import InputError
from ...types import PoseClip, Size
from ..skeleton.joints import BODY_EDGES, BODY_JOINTS, COLOURS, HAND_JOINT_COLOUR, body_clip
from .draw import JOINT_RADIUS_PX, SHORT_SIDE_PX

LEAST_SIDE_PX = 16  # of a frame; nothing can be recognised in fewer pixels

_HUES = len(COLOURS)  # hue of colour i is i steps of 360 / 18 degrees
_AS_HANDS = COLOURS.index(HAND_JOINT_COLOUR)  # the joint with the same colour as hand points
_BRIGHT = 185  # least level of joints; compression darkens small discs by up to 70 levels
_DIM = (105, 180)  # levels of limbs; drawn at 153
_DISC_PIXELS = 49
# Least pixels that count as a disc: near a hand, whose lines cover up to 30 of a disc; ...
_WHOLE_DISC_PIXELS = 34
_PART_DISC_PIXELS = 10  # ... at the end of a limb
_LONE_DISC_PIXELS = 18  # ... far from all hands
_MOST_PIXELS = 2_000  # of one hue in a drawing; frames with more are not skeletons
_TIP_PIXELS = 5  # this many limb pixels near a disc mean that the limb ends there
_LIMB_PIXELS = 10  # a limb with fewer visible pixels is not used
_NEAR_PX = 9.0  # largest distance from a limb's last clear pixel to its joint
_SIDE_PX = 6.0  # largest distance of a limb's pixels from its axis
_SHORT_LIMB_PX = 20  # widths of shorter limbs are not used
# Least pixels of a limb per pixel of its length, and least share of its length with a pixel. Where
# another limb of the neighbouring hue meets a disc, the mixed colours make at most half a pixel per
# pixel of length; limbs that are half covered still have one, and those in the open have six.
_LEAST_WIDTH, _LEAST_CLEAR = 0.8, 0.2
_COVERED = 2.2  # largest length of a limb relative to its visible part
_ESTIMATED = 0.4  # confidence of joints that were estimated from their limbs
_CERTAIN_LIMBS = 8  # lead in fitting limbs that decides the order of the channels

_FEW = (
    "Less than half of the joints were read: the clip shows a part of the body only, or its "
    "skeletons are drawn in another way than OpenPose's, such as with thin lines. Use the clip as "
    "it is, or keypoints of its source."
)

_Joints = np.ndarray  # (18, 3): x, y in pixels, confidence


@dataclass(frozen=True, kw_only=True)
class ReadReport:
    """What was found in a clip of drawn skeletons."""

    frames: int
    empty_frames: tuple[int, ...]  # frames without a skeleton
    seen: float  # share of body joints that were seen, over all frames
    estimated: float  # share of body joints estimated from the ends of limbs
    swapped: bool  # red and blue were exchanged in the clip
    certain: bool = True  # enough limbs fit to tell whether they were

    def __str__(self) -> str:
        order = "red and blue are exchanged in the clip" if self.swapped else "colours in order"
        if not self.certain:
            order = f"{order}, as far as the few limbs tell"
        text = (
            f"{self.frames} frames, {len(self.empty_frames)} of them without a skeleton; body "
            f"joints: {self.seen:.0%} seen, {self.estimated:.0%} estimated; {order}; hands and "
            f"faces are not read"
        )
        return f"{text}\n{_FEW}" if self._is_poor() else text

    def _is_poor(self) -> bool:
        """Return whether less than half of the joints of the frames with a skeleton were read."""
        drawn = self.frames - len(self.empty_frames)
        return 2 * (self.seen + self.estimated) * self.frames < drawn or not drawn


@dataclass(frozen=True)
class _Pixels:
    """Coloured pixels of a frame: where they are and which hue they have, in steps."""

    xy: np.ndarray  # (n, 2)
    hue: np.ndarray  # (n,), 0..17

    def of(self, hue: int) -> np.ndarray:
        return self.xy[self.hue == hue]


def read_skeleton_frames(
    frames: Iterable[np.ndarray],  # each (H, W, 3) uint8 RGB, all of one size
    canvas: Size | None = None,  # for the keypoints; None: the size of the frames
) -> tuple[PoseClip, ReadReport]:
    """Return the skeletons of the one person that a clip shows, and a report.

    The frames must look as `draw_pose` draws them: OpenPose's colours on black, line widths that
    scale with the canvas. Clips with red and blue exchanged are recognised. Joints that were seen
    have confidence 0.5 to 1, estimated ones 0.4; in frames without a skeleton all are missing.
    """
    found, lead, size = _read_in_order(frames)
    canvas = canvas or size
    joints = np.stack(found)[:, None]  # (f, 1, 18, 3)
    xy = joints[..., :2] * (canvas.width / size.width, canvas.height / size.height)
    clip = body_clip(canvas, xy, joints[..., 2])
    confidence = clip.body.confidence
    report = ReadReport(
        frames=len(found),
        empty_frames=tuple(np.flatnonzero(~confidence.any((1, 2))).tolist()),
        seen=float((confidence > _ESTIMATED).mean()),
        estimated=float((confidence == _ESTIMATED).mean()),
        swapped=lead < 0,
        certain=abs(lead) >= _CERTAIN_LIMBS,
    )
    return clip, report


def _read_in_order(
    frames: Iterable[np.ndarray],
) -> tuple[list[_Joints], int, Size]:  # joints, limbs that fit as it is less those exchanged, size
    """Read in both channel orders until enough limbs fit in one, then only in that order."""
    ways: tuple[list[_Joints], list[_Joints]] = ([], [])
    lead = 0
    iterator = _checked(frames)
    for frame in iterator:
        for way, found in enumerate(ways):
            joints, fitting = _read_frame(frame[..., ::-1] if way else frame)
            found.append(joints)
            lead += -fitting if way else fitting
        if abs(lead) >= _CERTAIN_LIMBS:
            break
    if not ways[0]:
        raise InputError("frames got none; a clip needs one or more. Choose another clip.")
    size = Size(frame.shape[1], frame.shape[0])  # type: ignore[possibly-unbound]
    swapped = lead < 0
    rest = (_read_frame(frame[..., ::-1] if swapped else frame)[0] for frame in iterator)
    return [*ways[swapped], *rest], lead, size


def _checked(frames: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    first = None
    for index, frame in enumerate(frames):
        if frame.ndim != 3 or frame.shape[2] != 3 or frame.dtype != np.uint8 or 0 in frame.shape:
            raise InputError(
                f"frames got frame {index} of shape {frame.shape} and type {frame.dtype}; it must "
                f"be (H, W, 3) uint8. Convert it to RGB."
            )
        height, width = frame.shape[:2]
        if min(height, width) < LEAST_SIDE_PX:
            raise InputError(
                f"frames got frame {index} of {width} x {height} pixels; both sides must be at "
                f"least {LEAST_SIDE_PX}. Pass the frames at their full size."
            )
        first = first or frame.shape
        if frame.shape != first:
            raise InputError(
                f"frames got frame {index} of {width} x {height} pixels after "
                f"{first[1]} x {first[0]}; all must have one size. Scale the clip to one size."
            )
        yield frame


def _read_frame(frame: np.ndarray) -> tuple[_Joints, int]:
    """Return the joints of one frame, and the number of limbs that lie between their joints."""
    height, width = frame.shape[:2]
    scale = SHORT_SIDE_PX / min(width, height)
    if scale != 1:
        how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        frame = cv2.resize(np.ascontiguousarray(frame), size, interpolation=how)
    bright, dim = _coloured(frame)
    limbs = [dim.of(limb) for limb in range(len(BODY_EDGES))]
    hands = bright.of(_AS_HANDS)
    joints = np.zeros((len(BODY_JOINTS), 3))
    for joint in range(len(BODY_JOINTS)):
        if joint != _AS_HANDS:
            joints[joint] = _seen_joint(bright.of(joint), _limbs_at(joint, limbs), hands)
    fitting = _fitting(joints, limbs)
    if not fitting and np.count_nonzero(joints[:, 2]) < 2:
        return np.zeros_like(joints), 0
    _estimate(joints, limbs, bright)
    # A disc of centre c is drawn for coordinates from c up to c + 1.
    middle = (joints[:, :2] + 0.5) * (width / frame.shape[1], height / frame.shape[0])
    joints[:, :2] = np.where(joints[:, 2:] > 0, middle, 0)
    return joints, fitting


def _coloured(frame: np.ndarray) -> tuple[_Pixels, _Pixels]:
    """Return the bright and the dim coloured pixels; black pixels are skipped for speed."""
    red, green, blue = cv2.split(np.ascontiguousarray(frame))
    value = cv2.max(cv2.max(red, green), blue)
    around = cv2.dilate(cv2.compare(value, _BRIGHT, cv2.CMP_GE), np.ones((3, 3), np.uint8))
    rows, columns = np.nonzero(value >= _DIM[0])
    rgb = frame[rows, columns].astype(np.float32)
    high, low = rgb.max(1), rgb.min(1)
    chroma = np.maximum(high - low, 1)
    r, g, b = rgb.T
    sixth = np.where(
        high == r,
        (g - b) / chroma,
        np.where(high == g, 2 + (b - r) / chroma, 4 + (r - g) / chroma),
    )
    hue = np.rint(sixth * (_HUES / 6)).astype(int) % _HUES
    xy = np.column_stack((columns, rows)).astype(np.float64)
    coloured = chroma > 0.6 * high
    bright = coloured & (high >= _BRIGHT)
    dim = coloured & (high <= _DIM[1]) & (around[rows, columns] == 0)
    return _Pixels(xy[bright], hue[bright]), _Pixels(xy[dim], hue[dim])


def _limbs_at(joint: int, limbs: list[np.ndarray]) -> np.ndarray:
    """Return the pixels of all limbs that end at a joint: (n, 2)."""
    return np.concatenate(
        [pixels for edge, pixels in zip(BODY_EDGES, limbs, strict=True) if joint in edge]
    )


def _seen_joint(
    pixels: np.ndarray,  # (n, 2), bright ones in the joint's hue
    limbs: np.ndarray,  # (m, 2), of the limbs that end there
    hands: np.ndarray,  # (k, 2), of the discs of hands; hand lines resemble parts of joints
) -> tuple[float, float, float]:
    """Return the best disc of a hue; one at the end of its limb is preferred."""
    best = (0.0, 0.0, 0.0)
    if len(pixels) > _MOST_PIXELS:
        return best
    for _ in range(3):
        if len(pixels) < _PART_DISC_PIXELS:
            break
        centre, count = _densest(pixels)
        ends_limb = (_distances(limbs, centre) < _NEAR_PX).sum() >= _TIP_PIXELS
        if count >= (_PART_DISC_PIXELS if ends_limb else _enough(centre, hands)):
            disc = (*centre.tolist(), 0.5 + 0.5 * min(1.0, count / _DISC_PIXELS))
            if ends_limb:
                return disc
            best = best if best[2] else disc
        pixels = pixels[_distances(pixels, centre) > 2 * JOINT_RADIUS_PX]
    return best


def _enough(centre: np.ndarray, hands: np.ndarray) -> float:
    """Return the least pixels of a disc without a limb; more are needed near hands."""
    for radius, pixels in ((2 * _NEAR_PX, np.inf), (5 * _NEAR_PX, _WHOLE_DISC_PIXELS)):
        if (_distances(hands, centre) < radius).sum() >= _PART_DISC_PIXELS:
            return pixels
    return _LONE_DISC_PIXELS


def _densest(pixels: np.ndarray) -> tuple[np.ndarray, int]:
    """Return the centre of the disc that covers most pixels, and their number."""
    x, y = pixels.T
    squares = (x[:, None] - x) ** 2 + (y[:, None] - y) ** 2
    radius = JOINT_RADIUS_PX + 0.5
    centre = pixels[np.argmax((squares <= radius**2).sum(1))]
    for _ in range(2):
        covered = pixels[_distances(pixels, centre) <= radius]
        centre = covered.mean(0) if len(covered) else centre
    return centre, int((_distances(pixels, centre) <= radius).sum())


def _distances(points: np.ndarray, centre: np.ndarray) -> np.ndarray:
    return np.hypot(points[:, 0] - centre[0], points[:, 1] - centre[1])


def _fitting(joints: _Joints, limbs: list[np.ndarray]) -> int:
    """Count the limbs that have pixels at the middle between their joints."""
    return sum(
        bool(_distances(pixels, (joints[a, :2] + joints[b, :2]) / 2).min() < 3)
        for (a, b), pixels in zip(BODY_EDGES, limbs, strict=True)
        if joints[a, 2] and joints[b, 2] and len(pixels)
    )


def _estimate(joints: _Joints, limbs: list[np.ndarray], bright: _Pixels) -> None:
    """Place joints that were not seen at the far ends of their limbs, from the neck outwards."""
    for _, (edge, pixels) in itertools.product(range(3), zip(BODY_EDGES, limbs, strict=True)):
        for known, hidden in (edge, edge[::-1]):
            # Estimates based on estimated joints would have large errors.
            if joints[known, 2] <= _ESTIMATED or joints[hidden, 2] > 0:
                continue
            end = _far_end(joints[known, :2], pixels)
            if end is not None:
                joints[hidden] = *end, _ESTIMATED
                if hidden == _AS_HANDS:
                    near = bright.of(hidden)[_distances(bright.of(hidden), end) < _NEAR_PX]
                    seen = _seen_joint(near, pixels, np.empty((0, 2)))
                    joints[hidden] = seen if seen[2] else joints[hidden]


def _far_end(start: np.ndarray, pixels: np.ndarray) -> np.ndarray | None:
    """Return the far end of a limb that begins at `start`; None if too little of it is seen.

    Single pixels of the limb's hue along another limb are not a limb; see _LEAST_WIDTH.
    """
    if len(pixels) < _LIMB_PIXELS or _distances(pixels, start).min() > 2 * _NEAR_PX:
        return None
    away = np.median(pixels, axis=0) - start
    away /= max(float(np.hypot(*away)), 1e-9)
    offsets = pixels - start
    along = offsets @ away
    on_axis = (np.abs(offsets @ (-away[1], away[0])) <= _SIDE_PX) & (along > 0)
    if on_axis.sum() < _LIMB_PIXELS:
        return None
    along = along[on_axis]
    away = offsets[on_axis].mean(0)
    away /= max(float(np.hypot(*away)), 1e-9)
    length = _limb_length(along)
    clear = len(np.unique(along.astype(int)))
    evidence = min(len(along) / _LEAST_WIDTH, clear / _LEAST_CLEAR)
    if along.min() > 2 * _NEAR_PX or length > evidence:
        return None
    return start + length * away


def _limb_length(along: np.ndarray) -> float:
    """Return a limb's length in pixels from the distances of its clear pixels to its beginning.

    A limb is an ellipse, so its widths show where its middle is, even if its end is covered.
    """
    seen = float(np.quantile(along, 0.98))
    widths = np.bincount(along.astype(int))[: max(0, int(seen) - 1)]
    clear = widths > 0
    if len(widths) < _SHORT_LIMB_PX or clear[_SHORT_LIMB_PX // 2 :].mean() < 0.7:
        return seen + 2  # too short, or too much of it is covered
    middles = np.arange(len(widths)) + 0.5
    lengths = np.linspace(seen + 1, _COVERED * seen, 60)
    shares = middles[clear] / lengths[:, None]  # (lengths, distances)
    shapes = np.sqrt(shares * (1 - shares))
    heights = (shapes @ widths[clear]) / (shapes**2).sum(1)
    errors = ((heights[:, None] * shapes - widths[clear]) ** 2).sum(1)
    return float(lengths[np.argmin(errors)])
