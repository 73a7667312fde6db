import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from animate_anyone.pose.skeleton.joints import BODY_JOINTS
from animate_anyone.pose.skeleton.layouts import WHOLEBODY
from animate_anyone.types import PoseClip, Size

CANVAS = Size(640, 480)
# The first 17 keypoints of COCO in its own words.
COCO = (
    "nose",
    "left_eye",
    "right_eye",
    "left_ear",
    "right_ear",
    "left_shoulder",
    "right_shoulder",
    "left_elbow",
    "right_elbow",
    "left_wrist",
    "right_wrist",
    "left_hip",
    "right_hip",
    "left_knee",
    "right_knee",
    "left_ankle",
    "right_ankle",
)


def clip_of(scores: np.ndarray | float = 0.9) -> PoseClip:
    """One person whose keypoint i lies at (i, 1000 + i)."""
    xy = np.stack([np.arange(133.0), 1000 + np.arange(133.0)], -1)
    return WHOLEBODY.to_clip(CANVAS, xy[None, None], np.broadcast_to(scores, (1, 1, 133)))


@pytest.mark.parametrize("joint", [name for name in BODY_JOINTS if name != "neck"])
def test_body_joints_keep_their_names(joint: str) -> None:
    index = COCO.index(joint)

    assert clip_of().body.xy[0, 0, BODY_JOINTS.index(joint)].tolist() == [index, 1000 + index]


@pytest.mark.parametrize(
    ("part", "first", "last"),
    [("feet", 17, 22), ("face", 23, 90), ("left_hand", 91, 111), ("right_hand", 112, 132)],
)
def test_parts_are_the_ranges_of_coco_wholebody(part: str, first: int, last: int) -> None:
    points = getattr(clip_of(), part)

    assert points.xy[0, 0, :, 0].tolist() == list(range(first, last + 1))
    assert (points.confidence == 0.9).all()


@pytest.mark.parametrize(
    ("left", "right", "neck"),
    [(0.9, 0.8, 0.8), (0.9, 0.29, 0.0), (0.3, 0.3, 0.3), (0.0, 0.9, 0.0), (1.4, 1.2, 1.0)],
)
def test_neck_needs_both_shoulders_and_has_the_lower_score(
    left: float, right: float, neck: float
) -> None:
    scores = np.full(133, 0.5)
    scores[[5, 6]] = left, right
    body = clip_of(scores).body

    assert body.confidence[0, 0, 1] == neck
    if neck:
        assert body.xy[0, 0, 1].tolist() == [5.5, 1005.5]


@pytest.mark.parametrize(
    ("score", "confidence"), [(-0.5, 0), (0, 0), (0.25, 0.25), (1, 1), (1.3, 1), (np.nan, 0)]
)
def test_scores_are_clipped_to_confidences(score: float, confidence: float) -> None:
    face = clip_of(score).face

    assert (face.confidence == confidence).all()
    assert confidence > 0 or not face.xy.any()


@given(st.integers(0, 3), st.integers(0, 3), st.integers(0, 2**32 - 1))
def test_any_scores_give_finite_points_of_full_shape(frames: int, people: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    xy = rng.choice([np.nan, np.inf, -3.0, 7.5, 1e6], (frames, people, 133, 2))
    scores = rng.choice([np.nan, -1.0, 0.0, 0.4, 2.0], (frames, people, 133))
    clip = WHOLEBODY.to_clip(CANVAS, xy, scores)

    for part, joints in {"body": 18, "left_hand": 21, "right_hand": 21, "face": 68}.items():
        points = getattr(clip, part)
        assert points.xy.shape == (frames, people, joints, 2)
        assert np.isfinite(points.xy).all()
        assert ((points.confidence >= 0) & (points.confidence <= 1)).all()
