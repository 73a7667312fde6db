"""PCK and OKS against loops over single joints, and on clips whose errors are known."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from animate_anyone.errors import InputError
from animate_anyone.evaluation.metrics.poses import oks, pck, pose_error
from animate_anyone.pose.skeleton.joints import BODY_JOINTS, VISIBLE, body_clip
from animate_anyone.pose.skeleton.stack import stack, torso_px
from animate_anyone.types import PoseClip, Size
from pose_clips import CANVAS, motion, random_clip

COCO_SIGMAS = {  # of the 17 points of cocoeval, in its own order and names
    "nose": 0.026, "left_eye": 0.025, "right_eye": 0.025, "left_ear": 0.035, "right_ear": 0.035,
    "left_shoulder": 0.079, "right_shoulder": 0.079, "left_elbow": 0.072, "right_elbow": 0.072,
    "left_wrist": 0.062, "right_wrist": 0.062, "left_hip": 0.107, "right_hip": 0.107,
    "left_knee": 0.087, "right_knee": 0.087, "left_ankle": 0.089, "right_ankle": 0.089,
}  # fmt: skip


def person(frames: int = 4) -> PoseClip:
    return body_clip(CANVAS, motion(3, frames)[:, None])


def moved(clip: PoseClip, by: float, joints: list[int]) -> PoseClip:
    xy = clip.body.xy.copy()
    xy[:, :, joints, 0] += by
    return replace(clip, body=replace(clip.body, xy=xy))


def hidden(clip: PoseClip, joints: list[int]) -> PoseClip:
    confidence = clip.body.confidence.copy()
    confidence[:, :, joints] = 0
    return replace(clip, body=replace(clip.body, confidence=confidence))


def test_a_clip_has_all_its_own_joints():
    clip = random_clip(1, 5)
    assert pck(clip, clip) == 1
    assert oks(clip, clip) == pytest.approx(1)


def test_pck_counts_joints_within_a_share_of_the_torso():
    truth = person()
    torso = float(torso_px(truth, stack(truth))[0])
    assert pck(moved(truth, 0.09 * torso, [0, 4, 7]), truth) == 1
    assert pck(moved(truth, 0.11 * torso, [0, 4, 7]), truth) == pytest.approx(15 / 18)
    assert pck(moved(truth, 0.11 * torso, [0, 4, 7]), truth, threshold=0.2) == 1


def test_missed_joints_are_wrong_and_additional_ones_are_not_counted():
    truth = person()
    assert pck(hidden(truth, [4, 7]), truth) == pytest.approx(16 / 18)
    assert oks(hidden(truth, [4, 7]), truth) == pytest.approx(15 / 17)
    assert pck(moved(truth, 300, [4, 7]), hidden(truth, [4, 7])) == 1
    assert oks(moved(truth, 300, [4, 7]), hidden(truth, [4, 7])) == pytest.approx(1)


def test_missed_people_are_wrong_and_additional_ones_are_not_counted():
    both = random_clip(1, 5, people=2)
    first = body_clip(CANVAS, both.body.xy[:, :1], both.body.confidence[:, :1])
    seen = both.body.confidence >= VISIBLE
    assert pck(first, both) == pytest.approx(seen[:, 0].sum() / seen.sum())
    assert oks(first, both) == pytest.approx(0.5)
    assert pck(both, first) == 1
    assert oks(both, first) == pytest.approx(1)


@given(st.integers(0, 1000), st.floats(0.5, 30))
def test_both_follow_their_definition_joint_by_joint(seed, noise):
    truth = random_clip(seed, 3)
    other = random_clip(seed + 1, 3)  # another choice of what is seen
    xy = truth.body.xy + np.random.default_rng(seed).normal(0, noise, truth.body.xy.shape)
    clip = body_clip(CANVAS, xy, other.body.confidence)
    torso = torso_px(truth, stack(truth))
    hits, similarities = [], []
    for frame in range(3):
        for who in range(2):
            shown = truth.body.confidence[frame, who] >= VISIBLE
            coco = [j for j, name in enumerate(BODY_JOINTS) if name in COCO_SIGMAS and shown[j]]
            places = truth.body.xy[frame, who, coco]
            area = np.prod(places.max(0) - places.min(0)) if coco else 0.0
            scores = []
            for joint in np.flatnonzero(shown):
                d = np.hypot(*(xy - truth.body.xy)[frame, who, joint])
                found = clip.body.confidence[frame, who, joint] >= VISIBLE
                hits.append(bool(found) and d <= 0.1 * torso[who])
                if joint in coco and area:
                    k = 2 * COCO_SIGMAS[BODY_JOINTS[joint]]
                    scores.append(np.exp(-(d**2) / (2 * area * k**2)) if found else 0.0)
            if scores:
                similarities.append(np.mean(scores))
    assert pck(clip, truth) == pytest.approx(np.mean(hits))
    assert oks(clip, truth) == pytest.approx(np.mean(similarities))


@given(st.floats(0.2, 5))
def test_the_size_of_the_picture_changes_nothing(scale):
    truth = person()
    clip = moved(truth, 12, [0, 3, 4, 10])

    def scaled(of: PoseClip) -> PoseClip:
        return replace(of, body=replace(of.body, xy=of.body.xy * scale))

    assert pck(scaled(clip), scaled(truth)) == pytest.approx(pck(clip, truth))
    assert oks(scaled(clip), scaled(truth)) == pytest.approx(oks(clip, truth))


def test_clips_that_cannot_be_compared_are_refused():
    truth = person()
    for metric in (pck, oks):
        with pytest.raises(InputError, match="same"):
            metric(person(3), truth)
        with pytest.raises(InputError, match="same"):
            metric(replace(truth, canvas=Size(64, 64)), truth)
        with pytest.raises(InputError, match="no body joint"):
            metric(truth, hidden(truth, list(range(18))))
    with pytest.raises(InputError, match="extent"):
        oks(truth, hidden(truth, list(range(1, 18))))
    with pytest.raises(InputError, match="threshold got 0"):
        pck(truth, truth, threshold=0)


def test_pose_error_is_a_mean_of_torso_lengths_with_at_most_one_per_joint():
    truth = person()
    torso = float(torso_px(truth, stack(truth))[0])
    assert pose_error(truth, truth) == 0
    assert pose_error(moved(truth, 0.3 * torso, [0, 4, 7]), truth) == pytest.approx(3 * 0.3 / 18)
    assert pose_error(moved(truth, 9 * torso, [0, 4]), truth) == pytest.approx(2 / 18)
    assert pose_error(hidden(truth, [4, 7]), truth) == pytest.approx(2 / 18)
    assert pose_error(moved(truth, 300, [4, 7]), hidden(truth, [4, 7])) == 0
