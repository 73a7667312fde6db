"""Drawn characters: a seed always gives the same one, and keypoints are exact."""

import cv2
import numpy as np
import pytest

from animate_anyone.drawn.characters import make_character
from animate_anyone.drawn.clip import paint_clip, skeletons_of
from animate_anyone.drawn.details import details_of
from animate_anyone.drawn.motions import DEGREES_OF_FREEDOM, joints_of, make_motion
from animate_anyone.drawn.painting import background_of, paint
from animate_anyone.evaluation.held_out import held_out_pairs
from animate_anyone.types import Size

SIZE = Size(96, 128)
REST = dict.fromkeys(DEGREES_OF_FREEDOM, 0.0)


def test_the_same_seed_gives_the_same_picture():
    first, second = (paint_clip(np.random.default_rng(5), np.arange(2), SIZE) for _ in range(2))
    for one, other in zip(first, second, strict=True):
        assert np.array_equal(one.picture, other.picture)
        assert np.array_equal(one.joints, other.joints)


def test_bones_keep_their_length_in_three_dimensions():
    rng = np.random.default_rng(1)
    body, motion = make_character(rng).body, make_motion(rng)
    for frame in range(0, 60, 7):
        xyz, _ = joints_of(body, motion.angles(frame))
        for start, end, length in (
            (2, 3, body.upper_arm), (6, 7, body.forearm), (8, 9, body.thigh), (12, 13, body.shin)
        ):  # fmt: skip
            assert np.linalg.norm(xyz[start] - xyz[end]) == pytest.approx(length)


def test_turning_narrows_the_shoulders_and_hides_the_far_ear():
    body = make_character(np.random.default_rng(2)).body
    front, seen = joints_of(body, REST)
    turned, hidden = joints_of(body, REST | {"yaw": 1.0})
    assert seen.all()
    assert hidden.tolist()[16:] == [True, False]
    assert abs(turned[2, 0] - turned[5, 0]) == pytest.approx(
        abs(front[2, 0] - front[5, 0]) * np.cos(1.0)
    )


def test_motions_are_smooth():
    for seed in range(20):
        rng = np.random.default_rng(seed)
        body, motion = make_character(rng).body, make_motion(rng)
        xyz = np.stack([joints_of(body, motion.angles(frame))[0] for frame in range(48)])
        assert np.abs(np.diff(xyz, axis=0)).max() < 0.2


def test_the_mask_covers_the_skeleton_and_every_changed_pixel():
    rng = np.random.default_rng(3)
    character, motion = make_character(rng, close_up=False), make_motion(rng)
    painting = paint(character, motion.angles(10), SIZE)
    x, y = painting.joints[[2, 5, 8, 11]].astype(int).T
    assert (painting.mask[y, x] > 0).all()
    changed = (painting.picture != background_of(character, SIZE)).any(2)
    assert not (changed & (painting.mask == 0)).any()


def test_skeletons_have_the_painted_joints():
    paintings = paint_clip(np.random.default_rng(4), np.arange(3), SIZE)
    clip = skeletons_of(paintings, SIZE)
    assert len(clip) == 3
    assert clip.canvas == SIZE
    assert np.array_equal(clip.body.xy[1, 0], paintings[1].joints)
    assert np.array_equal(clip.body.confidence[2, 0] > 0, paintings[2].visible)
    assert np.array_equal(clip.face.xy[0, 0], paintings[0].details["face"].xy)
    assert np.array_equal(clip.left_hand.xy[2, 0], paintings[2].details["left_hand"].xy)


def test_hands_faces_and_feet_lie_on_the_figure():
    big = Size(512, 512)
    for seed in range(12):
        rng = np.random.default_rng(seed)
        character, motion = make_character(rng, close_up=False), make_motion(rng)
        painting = paint(character, motion.angles(10), big)
        near = cv2.dilate(painting.mask, np.ones((9, 9), np.uint8)) > 0
        for name, part in painting.details.items():
            x, y = part.xy[part.visible].astype(int).T
            assert near[y, x].all(), name
        for name, wrist in (("left_hand", 7), ("right_hand", 4)):
            hand = painting.details[name].xy
            assert np.array_equal(hand[0], painting.joints[wrist])
            reach = np.linalg.norm(hand - hand[0], axis=1).max()
            assert reach < 0.08 * character.height * big.height


def test_a_turned_head_hides_the_far_cheek():
    body = make_character(np.random.default_rng(2)).body
    xyz, _ = joints_of(body, REST)
    assert details_of(body, REST, xyz)["face"].visible.all()
    turned = REST | {"head_yaw": 0.9}
    seen = details_of(body, turned, joints_of(body, turned)[0])["face"].visible
    assert seen[:8].all()
    assert not seen[16]


def test_held_out_pairs_are_fixed_and_differ_from_their_reference():
    first, again = (list(held_out_pairs(2, frames=2)) for _ in range(2))
    for one, other in zip(first, again, strict=True):
        assert np.array_equal(one.truth, other.truth)
        assert np.array_equal(one.poses, other.poses)
    assert float((first[0].reference - first[0].truth[:1]).abs().max()) > 0.1
    assert first[0].near.any()
    (second,) = held_out_pairs(1, frames=2, first=1)
    assert np.array_equal(second.truth, first[1].truth)
