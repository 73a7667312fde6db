"""Which keypoints a network or a file has, and how they map to OpenPose's parts.

To add a layout, add an entry to LAYOUTS: networks with that number of keypoints are then
recognised, and their outputs and the files with that number are converted by it. A layout that
only files have is an entry in FILE_LAYOUTS. If another layout there has as many keypoints, the
rarer one is an entry in RIVALS, and both need `bones`: `arrangement` tells them apart by these.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ...errors import ConfigError
from ...types import Points, PoseClip, Size
from .joints import BODY_EDGES, PART_JOINTS, VISIBLE

# The source of a joint: a keypoint, the mean of several, or None if the network has none.
Joint = int | tuple[int, ...] | None
Bones = tuple[tuple[int, int], ...]  # pairs of keypoints


@dataclass(frozen=True, kw_only=True)
class Layout:
    """The keypoints of an estimator or of a file."""

    name: str
    keypoints: int  # in the order of the network's outputs
    body: Sequence[Joint]  # one for each of OpenPose's joints
    left_hand: Sequence[Joint] = ()  # empty: the network does not find hands
    right_hand: Sequence[Joint] = ()
    face: Sequence[Joint] = ()
    feet: Sequence[Joint] = ()
    head_as_nose: bool = False  # it knows no nose, and the middle of the head stands for it
    bones: Bones = ()  # a tree of the keypoints; only where several layouts have as many

    def __post_init__(self) -> None:
        """Reject parts of another length, and keypoints that do not exist."""
        for part, count in PART_JOINTS.items():
            joints: Sequence[Joint] = getattr(self, part)
            if len(joints) not in ((count,) if part == "body" else (0, count)):
                raise ConfigError(
                    f"{part} of {self.name} got {len(joints)} joints; OpenPose has {count}. Name "
                    "a keypoint for each, or None where there is none."
                )
            self._check(part, [index for joint in joints for index in _keypoints(joint)])
        self._check("bones", [index for pair in self.bones for index in pair])

    def _check(self, what: str, used: list[int]) -> None:
        if used and not 0 <= min(used) <= max(used) < self.keypoints:
            raise ConfigError(
                f"{what} of {self.name} got keypoints {min(used)} to {max(used)}; there are "
                f"{self.keypoints}, counted from 0. Correct the numbers."
            )

    @property
    def of_body(self) -> list[int]:
        """Return the numbers of the keypoints that the body uses, in ascending order."""
        return sorted({index for joint in self.body for index in _keypoints(joint)})

    def to_clip(
        self,
        canvas: Size,
        xy: np.ndarray,  # (f, p, keypoints, 2), pixels
        scores: np.ndarray,  # (f, p, keypoints), raw: may be below 0 or above 1
    ) -> PoseClip:
        """Return keypoints as a clip; joints that were not found get confidence 0 at (0, 0)."""
        xy, scores = np.asarray(xy, np.float64), np.asarray(scores, np.float64)
        parts: dict[str, Sequence[Joint]] = {
            part: getattr(self, part) or (None,) * count for part, count in PART_JOINTS.items()
        }
        # Append the means of several keypoints, and last one that is always missing (index -1).
        middles = list({j for joints in parts.values() for j in joints if isinstance(j, tuple)})
        missing = np.zeros((*scores.shape[:2], 2)), np.zeros(scores.shape[:2])
        more = [*(_middle(xy, scores, pair) for pair in middles), missing]
        xy = np.concatenate([xy, np.stack([place for place, _ in more], 2)], 2)
        scores = np.concatenate([scores, np.stack([score for _, score in more], 2)], 2)
        column = {pair: self.keypoints + i for i, pair in enumerate(middles)}

        def row(joints: Sequence[Joint]) -> list[int]:
            return [j if isinstance(j, int) else -1 if j is None else column[j] for j in joints]

        rows = {part: row(joints) for part, joints in parts.items()}
        points = {part: _points(xy[:, :, at], scores[:, :, at]) for part, at in rows.items()}
        return PoseClip(canvas=canvas, **points)


def _keypoints(joint: Joint) -> tuple[int, ...]:
    return () if joint is None else joint if isinstance(joint, tuple) else (joint,)


def _middle(
    xy: np.ndarray, scores: np.ndarray, of: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean of keypoints with the lowest of their scores; 0 unless all are seen."""
    weaker = scores[:, :, list(of)].min(2)
    return xy[:, :, list(of)].mean(2), np.where(weaker >= VISIBLE, weaker, 0.0)


def _points(xy: np.ndarray, scores: np.ndarray) -> Points:
    confidence = np.clip(np.nan_to_num(scores, nan=0.0), 0.0, 1.0)
    confidence[~np.isfinite(xy).all(-1)] = 0.0
    return Points(xy=np.where(confidence[..., None] > 0, xy, 0.0), confidence=confidence)


# COCO-WholeBody: 0-16 body of COCO, 17-22 feet, 23-90 face, 91-111 left hand, 112-132 right hand.
COCO_BODY = slice(0, 17)
FEET = slice(17, 23)  # left big toe, small toe, heel, then right
FACE = slice(23, 91)
LEFT_HAND, RIGHT_HAND = slice(91, 112), slice(112, 133)
NECK = (5, 6)  # COCO has none: the middle of left and right shoulder
BODY = (0, NECK, 6, 8, 10, 5, 7, 9, 12, 14, 16, 11, 13, 15, 2, 1, 4, 3)

_ALL = tuple(range(133))
WHOLEBODY = Layout(
    name="COCO-WholeBody",
    keypoints=len(_ALL),
    body=BODY,
    left_hand=_ALL[LEFT_HAND],
    right_hand=_ALL[RIGHT_HAND],
    face=_ALL[FACE],
    feet=_ALL[FEET],
)

LAYOUTS = {layout.keypoints: layout for layout in (WHOLEBODY,)}  # by the number of keypoints

# Layouts that only files have. OpenPose's 18 joints come first in several of them.
_OPENPOSE = tuple(range(18))
_BIG_TOES = (18, None, None, 19, None, None)
# BODY_25 has the middle of the hips as point 8, and the feet at the end.
_BODY_19 = (*range(8), *range(9, 19))
_HALPE_FEET = (20, 22, 24, 21, 23, 25)
_HALPE_BODY = (0, 18, *BODY[2:])  # its own neck is point 18
# MediaPipe names a foot index and a heel, but no small toe.
_MEDIAPIPE_BODY = (0, (11, 12), 12, 14, 16, 11, 13, 15, 24, 26, 28, 23, 25, 27, 5, 2, 8, 7)


def _tree(*chains: tuple[int, ...]) -> Bones:
    """Return the bones of chains of keypoints; each chain begins at a point of one before."""
    return tuple(pair for chain in chains for pair in pairwise(chain))


_COCO_LIMBS = ((6, 8, 10), (5, 7, 9), (12, 14, 16), (11, 13, 15))
_COCO_HEAD = ((0, 1, 3), (0, 2, 4))
_AT_NECK = _tree(*_COCO_HEAD, *((17, *limb) for limb in _COCO_LIMBS), (17, 0))
_19_BONES = _tree(
    *((1, 0, 15, 17), (0, 16, 18), (1, 2, 3, 4), (1, 5, 6, 7), (1, 8, 9, 10, 11), (8, 12, 13, 14))
)
_KINECT_BONES = ((0, 12, 13, 14, 15), (0, 16, 17, 18, 19))

OPENPOSE_18 = Layout(name="OpenPose 18", keypoints=18, body=_OPENPOSE, bones=BODY_EDGES)
COCO_17 = Layout(
    name="COCO 17",
    keypoints=17,
    body=BODY,
    bones=_tree(*_COCO_HEAD, *_COCO_LIMBS, (0, 6, 12), (6, 5, 11)),
)
BODY_25 = Layout(
    name="BODY_25",
    keypoints=25,
    body=_BODY_19,
    feet=range(19, 25),
    bones=_19_BONES + _tree((14, 19, 20), (14, 21), (11, 22, 23), (11, 24)),
)
OPENPOSE_25 = Layout(
    name="OpenPose 18 and seven more", keypoints=25, body=_OPENPOSE, bones=BODY_EDGES
)
MEDIAPIPE = Layout(
    name="MediaPipe 33",
    keypoints=33,
    body=_MEDIAPIPE_BODY,
    feet=(31, None, 29, 32, None, 30),
)
FILE_LAYOUTS = (
    OPENPOSE_18,
    Layout(
        name="OpenPose 18 with big toes",
        keypoints=20,
        body=_OPENPOSE,
        feet=_BIG_TOES,
        bones=BODY_EDGES + _tree((13, 18), (10, 19)),
    ),
    Layout(
        name="OpenPose 18 with feet",
        keypoints=24,
        body=_OPENPOSE,
        feet=range(18, 24),
        bones=BODY_EDGES + _tree((13, 18, 19), (13, 20), (10, 21, 22), (10, 23)),
    ),
    BODY_25,
    OPENPOSE_25,
    Layout(name="BODY_19", keypoints=19, body=_BODY_19, bones=_19_BONES),
    COCO_17,
    Layout(name="HALPE 26", keypoints=26, body=_HALPE_BODY, feet=_HALPE_FEET),
    Layout(
        name="HALPE 136",
        keypoints=136,
        body=_HALPE_BODY,
        feet=_HALPE_FEET,
        face=range(26, 94),
        left_hand=range(94, 115),
        right_hand=range(115, 136),
    ),
    Layout(
        name="DWPose 134",
        keypoints=134,
        body=_OPENPOSE,
        feet=range(18, 24),
        face=range(24, 92),
        left_hand=range(92, 113),
        right_hand=range(113, 134),
    ),
    MEDIAPIPE,
)

# Layouts of data sets and depth cameras, which have as many points as one of the above.
_NO_FACE = (None,) * 4
POSETRACK_17 = Layout(
    name="PoseTrack 17", keypoints=17, body=(*BODY[:14], None, None, *BODY[16:])
)  # 1 and 2 are the lower and upper end of the head: `arrangement` tells it from COCO by these
RIVALS = (
    POSETRACK_17,
    Layout(
        name="Human3.6M 17",
        keypoints=17,
        body=(9, (11, 14), 14, 15, 16, 11, 12, 13, *range(1, 7), *_NO_FACE),
        bones=_tree((0, 1, 2, 3), (0, 4, 5, 6), (0, 7, 8, 9, 10), (8, 11, 12, 13), (8, 14, 15, 16)),
    ),
    Layout(
        name="MPI-INF-3DHP 17",
        keypoints=17,
        head_as_nose=True,
        body=(16, *range(1, 14), *_NO_FACE),
        bones=_tree(
            (14, 8, 9, 10), (14, 11, 12, 13), (14, 15, 1, 16, 0), (1, 2, 3, 4), (1, 5, 6, 7)
        ),
    ),
    Layout(name="COCO 17 and neck", keypoints=18, body=(0, 17, *BODY[2:]), bones=_AT_NECK),
    Layout(
        name="Panoptic 19",
        keypoints=19,
        body=(1, 0, 9, 10, 11, 3, 4, 5, 12, 13, 14, 6, 7, 8, 17, 15, 18, 16),
        bones=_tree(
            *((0, 1, 15, 16), (1, 17, 18), (0, 3, 4, 5), (0, 9, 10, 11)),
            *((0, 2, 6, 7, 8), (2, 12, 13, 14)),
        ),
    ),
    Layout(
        name="Kinect 20",
        keypoints=20,
        head_as_nose=True,
        body=(3, (4, 8), 8, 9, 10, 4, 5, 6, 16, 17, 18, 12, 13, 14, *_NO_FACE),
        feet=(15, None, None, 19, None, None),
        bones=_tree((0, 1, 2, 3), (2, 4, 5, 6, 7), (2, 8, 9, 10, 11), *_KINECT_BONES),
    ),
    Layout(
        name="SMPL 24",
        keypoints=24,
        head_as_nose=True,
        body=(15, (16, 17), 17, 19, 21, 16, 18, 20, 2, 5, 8, 1, 4, 7, *_NO_FACE),
        feet=(10, None, None, 11, None, None),
        bones=_tree(
            *((0, 1, 4, 7, 10), (0, 2, 5, 8, 11), (0, 3, 6, 9, 12, 15)),
            *((9, 13, 16, 18, 20, 22), (9, 14, 17, 19, 21, 23)),
        ),
    ),
    Layout(
        name="BODY_25B",
        keypoints=25,
        body=BODY,
        feet=range(19, 25),
        bones=_AT_NECK + _tree((0, 18), (15, 19, 20), (15, 21), (16, 22, 23), (16, 24)),
    ),
    Layout(
        name="Kinect 25",
        keypoints=25,
        head_as_nose=True,
        body=(3, (4, 8), 8, 9, 10, 4, 5, 6, 16, 17, 18, 12, 13, 14, *_NO_FACE),
        feet=(15, None, None, 19, None, None),
        bones=_tree(
            *((0, 1, 20, 2, 3), (20, 4, 5, 6, 7, 21), (6, 22), (20, 8, 9, 10, 11, 23), (10, 24)),
            *_KINECT_BONES,
        ),
    ),
)

# No layout of people: files with these points are refused. Nose, neck, root of the tail, fore legs
# and hind legs stand for a body here.
ANIMALS_17 = Layout(
    name="AP-10K",
    keypoints=17,
    body=(2, 3, 8, 9, 10, 5, 6, 7, 14, 15, 16, 11, 12, 13, 1, 0, None, None),
    bones=_tree(
        *((0, 2, 1), (2, 3, 4), (3, 5, 6, 7), (3, 8, 9, 10), (4, 11, 12, 13), (4, 14, 15, 16))
    ),
)


def layouts_of(count: int) -> tuple[Layout, ...]:
    """Return the layouts of files with this number of keypoints, the usual one first."""
    every = (*FILE_LAYOUTS, *LAYOUTS.values(), *RIVALS)
    return tuple(layout for layout in every if layout.keypoints == count)


def file_layouts() -> str:
    """Return, for messages, the numbers of keypoints that files may have, with layout names."""
    names: dict[int, list[str]] = {}
    for layout in (*FILE_LAYOUTS, *LAYOUTS.values(), *RIVALS):
        names.setdefault(layout.keypoints, []).append(layout.name)
    return ", ".join(f"{count}: {' or '.join(names[count])}" for count in sorted(names))


def known_layouts() -> tuple[str, str]:
    """Return, for messages: the known numbers of keypoints, and the same with layout names."""
    numbers = " or ".join(map(str, LAYOUTS))
    return numbers, ", ".join(f"{number}: {layout.name}" for number, layout in LAYOUTS.items())
