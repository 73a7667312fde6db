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
from .read_report import ReadReport

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
# So many limb pixels near a disc and in the ring around that mean that the limb ends there; lines
# of hands have some of every limb's colour, but not that many.
_TIP_PIXELS, _RING_PIXELS = 5, 20
_DISCS = 12  # of one hue that are looked at; the lines of hands contain several
_MOST_AROUND = 0.25  # of a lone disc's pixels, as many around it; a line has more
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
CERTAIN_LIMBS = 8  # lead in fitting limbs that decides the order of the channels
# Drawings whose lines do not grow with the canvas are read at their own size, or larger if the
# lines are narrow even there: what is tried, in frames with a skeleton and up to a short side; and
# how many times as many limbs must fit there to use it instead of the usual size.
_TRIED_FRAMES, _LARGEST_SIDE, _MUCH_BETTER = 3, 1536, 1.25

_Joints = np.ndarray  # (18, 3): x, y in pixels, confidence


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
    scale with the canvas. Clips with red and blue exchanged, and those whose lines are narrower,
    are recognised. Joints that were seen have confidence 0.5 to 1, estimated ones 0.4; in frames
    without a skeleton all are missing.
    """
    found, way, lead, size = _read_one_way(frames)
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
        swapped=way.swapped,
        certain=abs(lead) >= CERTAIN_LIMBS,
        line_side=way.side,
    )
    return clip, report


@dataclass(frozen=True)
class _Way:
    """A way to read a clip."""

    swapped: bool  # red and blue are exchanged
    side: int  # short side in pixels to which frames are scaled

    def read(self, frame: np.ndarray) -> tuple[_Joints, int]:
        return _read_frame(frame[..., ::-1] if self.swapped else frame, self.side)


_Tried = dict[_Way, list[tuple[_Joints, int]]]  # joints of each frame, and how many limbs fit


def _read_one_way(
    frames: Iterable[np.ndarray],
) -> tuple[list[_Joints], _Way, int, Size]:  # the number: see `_lead`
    """Read in all ways until one is clearly the best, then only in that way."""
    tried: _Tried = {}
    iterator = _checked(frames)
    for frame in iterator:
        tried = tried or {way: [] for way in _ways(min(frame.shape[:2]))}
        for way, found in tried.items():
            found.append(way.read(frame))
        if _is_certain(tried):
            break
    if not tried:
        raise InputError("frames got none; a clip needs one or more. Choose another clip.")
    size = Size(frame.shape[1], frame.shape[0])  # type: ignore[possibly-unbound]
    best = _best(tried)
    rest = (best.read(frame)[0] for frame in iterator)
    return [*(joints for joints, _ in tried[best]), *rest], best, _lead(tried), size


def _ways(short_side: int) -> list[_Way]:
    sides = [side for side in (short_side, 2 * short_side) if side <= _LARGEST_SIDE]
    sides = [SHORT_SIDE_PX, *(side for side in sides if side > SHORT_SIDE_PX)]
    return [_Way(swapped, side) for side in sides for swapped in (False, True)]


def _lead(tried: _Tried) -> int:
    """Return how many more limbs fit with red and blue exchanged, at the best size for either."""
    most = [0, 0]
    for way, found in tried.items():
        most[way.swapped] = max(most[way.swapped], sum(fitting for _, fitting in found))
    return most[1] - most[0]


def exchanged_lead(
    frame: np.ndarray,  # (H, W, 3) uint8
) -> int:
    """Return how many more limbs of a frame fit with red and blue exchanged; below 0: fewer."""
    return _lead({way: [way.read(frame)] for way in _ways(min(frame.shape[:2]))})


def _is_certain(tried: _Tried) -> bool:
    return abs(_lead(tried)) >= CERTAIN_LIMBS and any(
        sum(fitting > 0 for _, fitting in found) >= _TRIED_FRAMES for found in tried.values()
    )


def _best(tried: _Tried) -> _Way:
    """Return the way in which limbs fit, at the usual size unless another shows much more."""
    swapped = _lead(tried) > 0
    fit = {
        way: sum(fitting for _, fitting in found)
        for way, found in tried.items()
        if way.swapped == swapped
    }
    best = next(iter(fit))
    for way, limbs in fit.items():
        if limbs > _MUCH_BETTER * fit[best] and limbs >= CERTAIN_LIMBS:
            best = way
    return best


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


def _read_frame(
    frame: np.ndarray,
    short_side: int,  # pixels; lines are as wide there as `draw_pose` draws them at 512
) -> tuple[_Joints, int]:
    """Return the joints of one frame, and the number of limbs that lie between their joints."""
    height, width = frame.shape[:2]
    scale = short_side / min(width, height)
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
            joints[joint] = _seen_joint(
                bright.of(joint), _limbs_at(joint, limbs), hands, limbs[_AS_HANDS]
            )
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


def _limbs_at(joint: int, limbs: list[np.ndarray]) -> list[np.ndarray]:
    """Return the pixels of each limb that ends at a joint."""
    return [pixels for edge, pixels in zip(BODY_EDGES, limbs, strict=True) if joint in edge]


def _seen_joint(
    pixels: np.ndarray,  # (n, 2), bright ones in the joint's hue
    limbs: list[np.ndarray],  # (m, 2) each, of the limbs that end there
    hands: np.ndarray,  # (k, 2), of the discs of hands; hand lines resemble parts of joints
    as_hands: np.ndarray | None = None,  # the one of `limbs` that has their colour
) -> tuple[float, float, float]:
    """Return the best disc of a hue; one at the end of its limb is preferred."""
    best = (0.0, 0.0, 0.0)
    if len(pixels) > _MOST_PIXELS:
        return best
    every = pixels
    for _ in range(_DISCS):
        if len(pixels) < _PART_DISC_PIXELS:
            break
        centre, count = _densest(pixels)
        by_hand = (_distances(hands, centre) < 5 * _NEAR_PX).sum() >= _PART_DISC_PIXELS
        away = [_distances(limb, centre) for limb in limbs]
        tip = sum(np.count_nonzero(limb < _NEAR_PX) for limb in away)
        ends_limb = tip >= _TIP_PIXELS
        if by_hand:
            # The discs of hands have the colour of one limb, that of the nose.
            others = [d for d, limb in zip(away, limbs, strict=True) if limb is not as_hands]
            longest = max((np.count_nonzero(d < 3 * _NEAR_PX) for d in others), default=0)
            ends_limb &= longest >= _TIP_PIXELS + _RING_PIXELS
        if count >= (_PART_DISC_PIXELS if ends_limb else _enough(centre, hands, by_hand)):
            disc = (*centre.tolist(), 0.5 + 0.5 * min(1.0, count / _DISC_PIXELS))
            if ends_limb:
                return disc
            around = (_distances(every, centre) <= 3 * JOINT_RADIUS_PX).sum() - count
            lone = not by_hand or around <= _MOST_AROUND * count
            best = disc if lone and not best[2] else best
        pixels = pixels[_distances(pixels, centre) > 2 * JOINT_RADIUS_PX]
    return best


def _enough(centre: np.ndarray, hands: np.ndarray, by_hand: bool) -> float:
    """Return the least pixels of a disc without a limb; more are needed near hands."""
    if (_distances(hands, centre) < 2 * _NEAR_PX).sum() >= _PART_DISC_PIXELS:
        return np.inf
    return _WHOLE_DISC_PIXELS if by_hand else _LONE_DISC_PIXELS


def _densest(pixels: np.ndarray) -> tuple[np.ndarray, int]:
    """Return the centre of the disc that covers most pixels, and their number."""
    from scipy.spatial import cKDTree  # takes a while to import

    radius = JOINT_RADIUS_PX + 0.5
    around = cKDTree(pixels).query_ball_point(pixels, radius, return_length=True)
    centre = pixels[np.argmax(around)]
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
                    seen = _seen_joint(near, [pixels], np.empty((0, 2)))
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
