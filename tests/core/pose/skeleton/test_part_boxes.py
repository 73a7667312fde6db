"""Boxes around hands and faces: which exist, how large they are, and what they cover."""

from dataclasses import replace

import numpy as np
import pytest

from animate_anyone.errors import ConfigError
from animate_anyone.pose.skeleton.part_boxes import BoxRule, coverage, part_boxes
from animate_anyone.types import PoseClip
from pose_clips import random_clip

RULE = BoxRule(margin=0.1, threshold=0.5)


def _clip(**confidence: float) -> PoseClip:
    """Return two frames of one person in which parts have these confidences."""
    clip = random_clip(2, 2)
    parts = {
        name: replace(
            getattr(clip, name),
            confidence=np.full_like(getattr(clip, name).confidence, confidence.get(name, 0.0)),
        )
        for name in ("left_hand", "right_hand", "face")
    }
    return replace(clip, **parts)


def test_a_box_holds_all_points_and_a_margin_of_its_longer_side():
    clip = _clip(left_hand=0.5)
    found = part_boxes(clip, "hand", RULE)
    people = clip.left_hand.xy.shape[1]
    assert found.shape == (2, 2 * people, 4)
    xy = clip.left_hand.xy[1, 0]
    low, high = xy.min(0), xy.max(0)
    room = 0.1 * (high - low).max()
    assert np.allclose(found[1, 0], [*(low - room), *(high + room)])
    assert np.isnan(found[:, people:]).all(), "right hands have no confident point"


def test_a_hand_needs_all_of_its_points_and_a_face_half_of_them():
    clip = _clip(left_hand=0.9, face=0.9)
    clip.left_hand.confidence[0, :, 7] = 0.49
    clip.face.confidence[0, :, :34] = 0.0
    clip.face.confidence[1, :, :35] = 0.0
    hands, faces = (part_boxes(clip, part, RULE) for part in ("hand", "face"))
    assert np.isnan(hands[0]).all()
    assert np.isfinite(hands[1, 0]).all()
    assert np.isfinite(faces[0]).all()
    assert np.isnan(faces[1]).all()
    low = clip.face.xy[0, 0, 34:].min(0)
    assert (faces[0, 0, :2] <= low).all()
    assert np.isnan(part_boxes(_clip(), "face", RULE)).all()


def test_points_that_are_no_numbers_do_not_count():
    clip = _clip(left_hand=0.9)
    clip.left_hand.xy[0, 0, 3] = np.nan
    assert np.isnan(part_boxes(clip, "hand", RULE)[0, 0]).all()


def test_coverage_is_the_share_of_each_cell():
    boxes = np.array([[[4.0, 0.0, 12.0, 8.0], [np.nan] * 4]])
    expected = np.array([[[0.5, 0.5, 0], [0, 0, 0]]], np.float32)
    assert np.allclose(coverage(boxes, (2, 3), 8), expected)
    assert np.allclose(coverage(boxes - 100, (2, 3), 8), 0)
    assert coverage(boxes[:, 1:], (2, 3), 8).max() == 0
    whole = np.array([[[-9.0, -9.0, 99.0, 99.0]]])
    assert np.allclose(coverage(whole, (2, 3), 8), 1)


@pytest.mark.parametrize("values", [{"margin": -0.1}, {"threshold": 0.0}, {"threshold": 1.5}])
def test_rules_that_give_no_boxes_are_refused(values):
    (name,) = values
    with pytest.raises(ConfigError, match=f"box_{name} got"):
        BoxRule(**values)
