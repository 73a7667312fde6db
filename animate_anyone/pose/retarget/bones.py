"""The skeleton as a tree of bones, and the lengths of these bones in a clip.

A `Figure` holds all points of one person in one array: the 18 body joints, the pelvis (middle of
the hips), the feet, both hands and the face. Only body, pelvis and feet form the tree; a hand is
attached to a wrist and the face to the nose.
"""

from dataclasses import dataclass

import numpy as np

from ...types import Points, PoseClip
from ..skeleton.joints import BODY_JOINTS, PART_JOINTS, VISIBLE

NOSE, NECK, PELVIS = 0, 1, 18
HIPS, ANKLES, SHOULDERS = (8, 11), (10, 13), (2, 5)
RIGHT_WRIST, LEFT_WRIST = 4, 7
NODES = 25  # joints of the tree
FEET = slice(19, 25)
RIGHT_HAND = slice(25, 46)
LEFT_HAND = slice(46, 67)
FACE = slice(67, 135)
FACE_NOSE = FACE.start + 30
PART_SLICES = {
    "body": slice(0, 18),
    "feet": FEET,
    "right_hand": RIGHT_HAND,
    "left_hand": LEFT_HAND,
    "face": FACE,
}
NODE_NAMES = (*BODY_JOINTS, "pelvis", *(f"foot_{i}" for i in range(PART_JOINTS["feet"])))

assert len(NODE_NAMES) == NODES
assert FACE.stop == NODES + 2 * PART_JOINTS["left_hand"] + PART_JOINTS["face"]

# (one end, other end, kind): both sides of the body share a kind, and so a ratio.
BONES = (
    (18, 1, "spine"),
    (18, 8, "hip"),
    (8, 9, "thigh"),
    (9, 10, "shin"),
    (18, 11, "hip"),
    (11, 12, "thigh"),
    (12, 13, "shin"),
    (1, 2, "shoulder"),
    (2, 3, "upper_arm"),
    (3, 4, "forearm"),
    (1, 5, "shoulder"),
    (5, 6, "upper_arm"),
    (6, 7, "forearm"),
    (1, 0, "neck"),
    (0, 14, "head"),
    (14, 16, "head"),
    (0, 15, "head"),
    (15, 17, "head"),
    *((13, foot, "shin") for foot in (19, 20, 21)),  # feet are rigid and scaled like shins
    *((10, foot, "shin") for foot in (22, 23, 24)),
)
_NEIGHBOURS = [
    [(b, kind) for a, b, kind in BONES if a == node]
    + [(a, kind) for a, b, kind in BONES if b == node]
    for node in range(NODES)
]
LARGE = ("spine", "shoulder", "upper_arm", "forearm", "thigh", "shin")  # 11 bones
KINDS = (*LARGE, "hip", "neck", "head", "hand")

# The measured distances: (kind, the same distance on both sides of the body).
_PAIRS = (
    ("spine", ((18, 1),)),
    ("shoulder", ((1, 2), (1, 5))),
    ("upper_arm", ((2, 3), (5, 6))),
    ("forearm", ((3, 4), (6, 7))),
    ("thigh", ((8, 9), (11, 12))),
    ("shin", ((9, 10), (12, 13))),
    ("hip", ((18, 8), (18, 11))),
    ("neck", ((1, 0),)),
    ("head", ((0, 14), (0, 15))),
    ("head", ((14, 16), (15, 17))),
    ("head", ((FACE.start, FACE.start + 16),)),  # width of the jaw
    ("head", ((FACE.start + 27, FACE.start + 8),)),  # bridge of the nose to the chin
    *(
        ("hand", ((RIGHT_HAND.start, RIGHT_HAND.start + i), (LEFT_HAND.start, LEFT_HAND.start + i)))
        for i in (5, 9, 13, 17)
    ),
)
SEGMENTS = tuple(segment for _, mirrored in _PAIRS for segment in mirrored)
SEGMENT_KINDS = np.array([kind for kind, mirrored in _PAIRS for _ in mirrored])
# (kind, columns of the segments that are mirror images of each other).
MIRRORED = tuple(
    (kind, [SEGMENTS.index(segment) for segment in mirrored]) for kind, mirrored in _PAIRS
)
_STARTS, _ENDS = np.array(SEGMENTS).T

_CERTAIN = 0.5  # least confidence of joints that are measured
_BORDER = 0.02  # of the canvas; joints outside the picture are often detected here


@dataclass(frozen=True)
class Figure:
    """All points of one person."""

    xy: np.ndarray  # (f, 135, 2), pixels, finite
    seen: np.ndarray  # (f, 135)
    certain: np.ndarray  # (f, 135): confidence at least 0.5, and not at the border

    def frame(self, index: int) -> "Figure":
        """Return one frame as a figure."""
        only = slice(index, index + 1)
        return Figure(self.xy[only], self.seen[only], self.certain[only])


def figure_of(clip: PoseClip, person: int) -> Figure:
    """Return the points of a person; points that are not finite count as not seen."""
    xy = np.zeros((len(clip), FACE.stop, 2))
    confidence = np.zeros((len(clip), FACE.stop))
    for part, place in PART_SLICES.items():
        points: Points = getattr(clip, part)
        xy[:, place] = points.xy[:, person]
        confidence[:, place] = points.confidence[:, person]
    finite = np.isfinite(xy).all(-1)
    xy[~finite] = 0
    xy[:, PELVIS] = xy[:, HIPS].mean(1)
    seen = finite & (confidence >= VISIBLE)
    size = np.array((clip.canvas.width, clip.canvas.height))
    inside = ((xy >= _BORDER * size) & (xy <= (1 - _BORDER) * size)).all(-1)
    certain = seen & (confidence >= _CERTAIN) & inside
    seen[:, PELVIS] = seen[:, HIPS].all(1)
    certain[:, PELVIS] = certain[:, HIPS].all(1)
    return Figure(xy, seen, certain)


def segments_of(
    figure: Figure,
    *,
    certain: bool,  # use only the points that are `certain`, otherwise all `seen` ones
) -> np.ndarray:  # (f, segments, 2), NaN where an end is missing or both ends coincide
    """Return the vectors, from start to end, of all measured segments."""
    mask = figure.certain if certain else figure.seen
    vectors = figure.xy[:, _ENDS] - figure.xy[:, _STARTS]
    usable = mask[:, _ENDS] & mask[:, _STARTS]
    usable &= np.hypot(vectors[..., 0], vectors[..., 1]) > 1e-6
    return np.where(usable[..., None], vectors, np.nan)


def joints_over_time(figure: Figure) -> np.ndarray:  # (f, NODES, 2), NaN: never seen
    """Return the joints of the tree, with positions filled in where a joint is not seen.

    Between frames in which it is seen, a joint is interpolated linearly; before the first and
    after the last it stays where it is. A wrist that is not seen is taken from its hand's first
    point, the nose from the face.
    """
    nodes, known = figure.xy[:, :NODES].copy(), figure.seen[:, :NODES].copy()
    for node, stand_in in (
        (RIGHT_WRIST, RIGHT_HAND.start),
        (LEFT_WRIST, LEFT_HAND.start),
        (NOSE, FACE_NOSE),
    ):
        replaced = ~known[:, node] & figure.seen[:, stand_in]
        nodes[replaced, node] = figure.xy[replaced, stand_in]
        known[:, node] |= replaced
    frames = np.arange(len(nodes))
    ever, always = known.any(0), known.all(0)
    nodes[:, ~ever] = np.nan
    for node in np.flatnonzero(ever & ~always):
        at = known[:, node]
        for axis in range(2):
            nodes[:, node, axis] = np.interp(frames, frames[at], nodes[at, node, axis])
    return nodes


def paths_from(
    root: int,
    present: np.ndarray,  # (NODES,), bool: joints that have a position
) -> list[tuple[int, int, tuple[str, ...]]]:
    """Return (parent, child, kinds of the bones between them) for all present joints, root first.

    Joints that are not present are skipped, so the parent may be a more distant ancestor.
    """
    paths = []
    waiting: list[tuple[int, int, int, tuple[str, ...]]] = [(root, root, root, ())]
    while waiting:
        node, previous, ancestor, kinds = waiting.pop()
        if present[node] and node != root:
            paths.append((ancestor, node, kinds))
            ancestor, kinds = node, ()
        for other, kind in _NEIGHBOURS[node]:
            if other != previous:
                waiting.append((other, node, ancestor, (*kinds, kind)))
    return paths


def has_body(figure: Figure) -> bool:
    """Return whether any joint of the tree is ever seen; a hand counts as wrist, a face as nose."""
    stand_ins = [RIGHT_HAND.start, LEFT_HAND.start, FACE_NOSE]
    return bool(figure.seen[:, :NODES].any() or figure.seen[:, stand_ins].any())
